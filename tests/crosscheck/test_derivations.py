"""The book of derivations: whole, proved, well-formed, and not content with a wrong rule."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from crosscheck import cli
from crosscheck.studies.catalogue import STUDIES
from crosscheck.studies.derivations import book
from crosscheck.studies.derivations.examples import EXAMPLES
from crosscheck.studies.derivations.identities import IDENTITIES
from crosscheck.studies.derivations.layers import primitives_of, ulps_of_primitives
from crosscheck.studies.derivations.page import NOTATION, anchor, write_derivations
from crosscheck.studies.derivations.proving import ExactNumPy, agreement, dimensions, drawn, program
from crosscheck.studies.derivations import BOOK
from crosscheck.studies.derivations.written import NotWritten, written
from crosscheck.networks.builder import LAYERS, LOSSES
from crosscheck.report import page
from crosscheck.report.tables import ReportError, read_table, write_table
from refgrad import nn
from refgrad.derive.numpy_source import NoSource, source
from refgrad.derive.printing import text
from refgrad.primitive import CONSTANT, TABLE, Primitive
from tests.rules import negative, rule_named

LAYERS_CSV = pd.DataFrame({"layer": ["linear", "mse_loss"],
                           "differentiator": "torch", "dtype": "float64",
                           "digits_min": 50.0, "ulp_median": [1.5, 2.5], "ulp_max": 9.0})


@pytest.fixture(scope="module")
def whole():
    return book.book(0, workers=1)


@pytest.fixture(scope="module")
def frame(whole):
    return book.derivations_table(whole.entries, ulps_of_primitives(LAYERS_CSV))


@pytest.fixture(scope="module")
def html(whole, frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("book") / "derivations.html"
    write_derivations(whole.entries, frame, path)
    return path.read_text()


# What is in it


def test_everything_is_in_it_once(frame):
    assert set(frame.loc[frame["part"] == book.EXAMPLE, "id"]) == {e.title for e in EXAMPLES}
    assert set(frame.loc[frame["part"] == book.IDENTITY, "id"]) == {i.id for i in IDENTITIES}
    rules = frame[~frame["part"].isin([book.EXAMPLE, book.IDENTITY, book.RANDOM])]
    assert (frame["part"] == book.RANDOM).sum() == book.RANDOM_MANY
    assert sorted(rules["id"]) == sorted(r.name for r in TABLE.values())
    for name, part in zip(rules["id"], rules["part"]):
        assert (part == book.CONSTANT_RULE) == (rule_named(name).kind is CONSTANT)
        assert part != book.RULE or isinstance(rule_named(name), Primitive)
    assert not frame.duplicated(["part", "family", "id"]).any()


def test_all_of_it_is_proved(whole, frame):
    assert {e.id: e.failed for e in whole.failed} == {}
    for column in ("digits", "engine_digits", "book_digits", "rule_digits"):
        assert not (frame[column] < book.REQUIRED).any()
    assert frame.loc[frame["part"] == book.IDENTITY, ["digits", "engine_digits",
                                                      "book_digits"]].notna().all(axis=None)
    assert frame.loc[frame["part"] == book.EXAMPLE,
                     ["digits", "engine_digits"]].notna().all(axis=None)
    assert frame.loc[frame["part"].isin([book.RULE, book.COMPOSITION]), "rule_digits"].notna().all()
    unsaid = frame[frame["digits"].isna() & (frame["fallback"] == "")
                   & (frame["part"] != book.CONSTANT_RULE)]
    assert unsaid["id"].to_list() == []


def test_what_is_read_off_is_what_the_reverse_rules_give(frame):
    assert (set(frame.loc[frame["part"].isin([book.EXAMPLE, book.IDENTITY]), "symbolic"])
            == {"equal"})


def test_a_quick_book_has_a_few_of_each_family():
    few, everything = book.contents(quick=True), book.contents()
    assert set(few) < set(everything) and len(few) < len(everything) / 3
    assert {t[:2] for t in few} == {t[:2] for t in everything}


def test_other_points_prove_the_same():
    task = next(t for t in book.contents() if t[2] == "x' A x")
    first, again, other = book.entry(task, 0), book.entry(task, 0), book.entry(task, 1)
    assert first == again
    assert ((first.row["gradient"], other.row["gradient"]) == ("(A + A') x",) * 2
            and not other.failed)


# Formulas as books write them


def test_nothing_is_rearranged():
    shapes = {"X": ("n", "n"), "B": ("n", "n"), "a": ("n",), "b": ("n",)}
    for line, expected in {"(X @ B + B @ X).T": "(X B + B X)'",
                           "2 * det(X) * inv(X).T": "2 det(X) X^-T", "a @ X.T @ b": "a' X' b",
                           "outer(a, b) - I_n": "a b' - I", "X * B / n": "1/n (X . B)",
                           "-X @ B": "-X B", "diag(a) @ X": "diag(a) X"}.items():
        assert text(written(line, shapes)) == expected


def test_what_is_printed_of_a_book_is_what_it_says():
    compared = 0
    for identity in IDENTITIES:
        shapes = {name: dimensions(shape) for name, shape in identity.arrays.items()}
        arrays = drawn(identity.arrays, np.random.default_rng(0))
        for line in (identity.function, identity.formula):
            try:
                code = source(written(line, shapes))
            except (NotWritten, NoSource):
                continue
            value = program(line)(arrays)
            printed = lambda d: {"value": eval(code, {"np": ExactNumPy(), "nn": nn, **d})
                                     + 0 * d["value"]}
            said = lambda d: {"value": program(line)(d)}
            assert (agreement(printed, said, arrays | {"value": np.asarray(value, float)})
                    >= book.REQUIRED), line
            compared += 1
    assert compared > 2 * len(IDENTITIES) - 10


@pytest.mark.parametrize("line",
                         ["X[0]", "softmax(X, dim=0)", "unknown(X)", "X ** n", "X if n else X"])
def test_what_cannot_be_written_says_so(line):
    with pytest.raises(NotWritten):
        written(line, {"X": ("n", "n")})


# The page


def test_the_page_is_well_formed_and_needs_nothing_but_itself(html):
    tree = ElementTree.fromstring(html.split("\n", 1)[1])
    assert not re.search(r"https?:|//cdn|<script |<link|@import|url\(|<img", html)
    assert "{{" not in html and "{%" not in html
    ids = [x.get("id") for x in tree.iter() if x.get("id")]
    assert len(ids) == len(set(ids))
    targets = {a.get("href").removeprefix("#") for a in tree.iter("a")}
    assert targets <= {*ids, "index.html"}
    assert len(list(tree.iter("math"))) > 1000 and all(len(m) == 1 for m in tree.iter("math"))


def test_every_derivation_is_on_the_page(html, whole):
    for e in whole.entries:
        assert e.part == book.RANDOM or f'id="{anchor(e.part, e.family, e.id)}"' in html
    for example in EXAMPLES:
        assert example.teaches.split("<")[0].split("'")[0][:30] in html
    assert all(xml in html for xml in map(str, NOTATION.values()))


def test_what_has_no_formula_says_so(html):
    card = html[html.index('id="rule-reductions-np-prod"'):]
    card = card[:card.index("</article>")]
    assert ("Not in matrix notation alone" in card
            and rule_named("np.prod").derivation.split("\n")[0][:20] in card)


def test_the_same_book_makes_the_same_page(whole, frame, html, tmp_path):
    write_derivations(whole.entries, frame, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == html


# torch's errors


def test_errors_belong_to_the_primitive_of_a_layer(frame):
    assert primitives_of("linear") == {"linear"} and "mse_loss" in primitives_of("mse_loss")
    found = frame.set_index("id")["torch_ulps_float64"].dropna().to_dict()
    assert found == {"linear": 1.5, "mse_loss": 2.5}
    assert frame["torch_ulps_float32"].isna().all()


@pytest.mark.parametrize("layer", [*LAYERS, *LOSSES])
def test_every_layer_is_made_of_primitives(layer):
    assert primitives_of(layer) <= {r.name for r in TABLE.values()} and primitives_of(layer)


# The command


def call(*arguments):
    result = CliRunner().invoke(cli.app, list(map(str, arguments)),
                                env={"COLUMNS": "200", "TERM": "dumb"})
    result.said = " ".join(result.output.split())
    return result


@pytest.fixture
def small(monkeypatch):
    """A book of three entries."""
    chosen = [t for t in book.contents() if t[2] in ("tr(A' X)", "np.tanh", "det X")]
    monkeypatch.setattr(book, "contents", lambda quick=False, random=None: chosen)
    return chosen


def test_the_command_writes_book_table_and_page(small, tmp_path):
    write_table(LAYERS_CSV, tmp_path / "layers.csv")
    result = call("derivations", "--out", tmp_path, "--workers", 1)
    assert (result.exit_code == 0
            and "3 derivations, 3 of them in matrix notation alone" in result.said)
    table = read_table(tmp_path, BOOK, "derivations")
    assert (table["id"].to_list() == [t[2] for t in small]
            and list(table.columns) == list(BOOK.columns))
    index = (tmp_path / "index.html").read_text()
    assert ">Derivations</h2>" in index and '<a href="derivations.html">' in index
    assert "the book of derivations: 3 entries, proved at points of seed 0" in index
    before = [(tmp_path / name).read_bytes() for name in ("derivations.html", "derivations.csv")]
    assert call("derivations", "--out", tmp_path, "--workers", 2).exit_code == 0
    assert ([(tmp_path / name).read_bytes() for name in ("derivations.html", "derivations.csv")]
            == before)


@pytest.mark.parametrize("which", ["vjp", "jvp"])
def test_a_turned_sign_is_reported(which, small, tmp_path, monkeypatch):
    tanh = TABLE[np.tanh]
    monkeypatch.setattr(tanh, which, negative(getattr(tanh, which), 0))
    result = call("derivations", "--out", tmp_path, "--workers", 1)
    assert (result.exit_code == 1 and "not proved: np.tanh" in result.said
            and "1 is not proved" in result.said)
    html = (tmp_path / "derivations.html").read_text()
    assert ('class="verdict bad"' in html
            and re.search(r'class="failed"><a href="#rule-[a-z-]*tanh">np.tanh</a>', html))
    row = read_table(tmp_path, BOOK, "derivations").set_index("id").loc["np.tanh"]
    assert row["failed"] and row["symbolic"] != "equal"


def test_a_wrong_formula_of_a_book_is_reported(monkeypatch):
    name, identity = "traces", next(i for i in IDENTITIES if i.id == "trace of X A")
    monkeypatch.setitem(book.FAMILIES, name, [identity._replace(formula="-A.T")])
    assert "book digits" in book.entry((book.IDENTITY, name, identity.id)).failed


def test_a_derivation_that_breaks_does_not_end_the_book(monkeypatch):
    def broken(*arguments, **named):
        raise RuntimeError("of no use\nat all")
    monkeypatch.setattr(book, "derive", broken)
    found = book.entry((book.EXAMPLE, EXAMPLES[0].section, EXAMPLES[0].title))
    assert found.failed == found.row["failed"] == "RuntimeError: of no use"


def test_interrupted_it_writes_what_is_finished(small, tmp_path, monkeypatch):
    def interrupted(function, tasks, workers, tick):
        return {0: function(tasks[0])}, "interrupted"
    monkeypatch.setattr(book, "share_out", interrupted)
    result = call("derivations", "--out", tmp_path)
    assert (result.exit_code == 130
            and "interrupted: 1 of 3 derivations are made, and in the report" in result.said)
    assert len(read_table(tmp_path, BOOK, "derivations")) == 1
    assert "interrupted, 3 were to be made" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize("content", [b"", b"\x89PNG\xff", b"part,id\n1,2\n"])
def test_a_broken_table_names_the_command_that_makes_it_again(content, tmp_path):
    (tmp_path / "derivations.csv").write_bytes(content)
    with pytest.raises(ReportError, match="python -m crosscheck derivations --out"):
        read_table(tmp_path, BOOK, "derivations")
    page.write_page(tmp_path, STUDIES)
    assert "python -m crosscheck derivations --out" in (tmp_path / "index.html").read_text()


def test_a_broken_table_of_layers_leaves_torch_out(small, tmp_path):
    (tmp_path / "layers.csv").write_text("half,a\n")
    assert call("derivations", "--out", tmp_path, "--workers", 1).exit_code == 0
    assert read_table(tmp_path, BOOK, "derivations")["torch_ulps_float64"].isna().all()
