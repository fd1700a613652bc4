// A box that leaves of the items those which have every word of what is typed, and says how many.
function search(label, items, before, then = () => {}) {
  const box = document.createElement("input"), count = document.createElement("span");
  box.type = "search";
  box.placeholder = box.ariaLabel = label;
  count.className = "muted";
  before.before(box, " ", count);
  const texts = items.map(item => (item.id + " " + item.textContent).toLowerCase());
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    items.forEach((item, k) => { item.hidden = !words.every(word => texts[k].includes(word)); });
    count.textContent = words.length ? items.filter(item => !item.hidden).length + " of " + items.length : "";
    then(words.length > 0);
  });
}
