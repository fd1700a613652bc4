"""Data-parallel gradients: the data lie in blocks on the workers of a cluster, the parameters are
NumPy's.

    python examples/dask_data_parallel.py [--megabytes 300] [--limit 256]

Logistic regression and a two-layer network, on more data than a worker may hold in memory.  The
loss is a plain NumPy program.  Where it meets the data, which are a Dask array, it becomes one: the
gradient is a lazy Dask array, a sum of one term for each block, and nothing is computed before it
is asked for.  Each worker makes its blocks, adds its terms, and drops them.  Both gradients are
compared with NumPy's, on as much data as fit here, and block by block on all.
"""

import argparse
import time

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster, wait

import refgrad as rg

FEATURES, HIDDEN, ROWS = 64, 16, 4096  # ROWS: in a block


def block(seed):
    """A block of features and, in the last column, of labels."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS, FEATURES))
    score = np.sum(x[:, :8], axis=1) + rng.standard_normal(ROWS)
    return np.concatenate([x, (score > 0)[:, None]], axis=1)


def lazy_data(blocks):
    """All blocks as one Dask array; a worker makes each when it is needed."""
    seeds = da.arange(blocks, chunks=1)
    return da.map_blocks(lambda s: block(s.item()), seeds[:, None], dtype=float,
                         chunks=((ROWS,) * blocks, (FEATURES + 1,)), meta=np.empty((0, 0)))


def logistic_loss(p, data):
    x, y = data[:, :-1], data[:, -1]
    score = np.matmul(x, p["w"]) + p["b"]
    return np.mean(np.logaddexp(0, score) - y * score)


def network_loss(p, data):
    x, y = data[:, :-1], data[:, -1]
    hidden = np.tanh(np.matmul(x, p["W"]) + p["c"])
    score = np.matmul(hidden, p["w"]) + p["b"]
    return np.mean(np.logaddexp(0, score) - y * score)


def parameters(rng):
    regression = {"w": rng.standard_normal(FEATURES) / 8, "b": np.zeros(())}
    network = {"W": rng.standard_normal((FEATURES, HIDDEN)) / 8, "c": np.zeros(HIDDEN),
               "w": rng.standard_normal(HIDDEN) / 4, "b": np.zeros(())}
    return {"logistic regression": (logistic_loss, regression),
            "two-layer network": (network_loss, network)}


def block_by_block(loss, p, blocks):
    """NumPy's gradient on all the data, which are never in memory together."""
    gradient = rg.grad(loss)
    total = gradient(p, block(0))
    for seed in range(1, blocks):
        total = rg.tree_map(np.add, total, gradient(p, block(seed)))
    return rg.tree_map(lambda g: g / blocks, total)


def distance(a, b):
    """The largest difference, relative to the largest entry."""
    return max(np.max(np.abs(a[k] - b[k])) / np.max(np.abs(b[k])) for k in b)


def peak_memory():
    """The most memory that this process has held, in bytes."""
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=300, help="size of the data")
    parser.add_argument("--limit", type=int, default=256, help="memory limit of a worker, in MiB")
    options = parser.parse_args()
    bytes_of_block = ROWS * (FEATURES + 1) * 8
    blocks = max(4, options.megabytes * 10 ** 6 // bytes_of_block)
    with LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=f"{options.limit}MiB",
                      dashboard_address=None,
                      silence_logs="ERROR") as cluster, Client(cluster) as client:
        idle = max(client.run(peak_memory).values())
        print(f"data: {blocks * bytes_of_block / 1e6:.0f} MB in {blocks} blocks; 2 workers of at "
              f"most {options.limit * 2 ** 20 / 1e6:.0f} MB, of which Python and its libraries "
              f"take {idle / 1e6:.0f} MB")
        for name, (loss, p) in parameters(np.random.default_rng(0)).items():
            start = time.perf_counter()
            gradient = rg.grad(loss)(p, lazy_data(blocks))
            assert all(isinstance(g, da.Array) for g in gradient.values())
            gradient = dict(zip(gradient, dask.compute(*gradient.values())))
            took = time.perf_counter() - start
            start = time.perf_counter()
            difference = distance(gradient, block_by_block(loss, p, blocks))
            alone = time.perf_counter() - start
            assert difference < 1e-12, difference
            print(f"{name}: gradient in {took:.2f} s, NumPy alone block by block in {alone:.2f} s; "
                  f"largest difference {difference:.0e} of the largest entry")
        peak = max(client.run(peak_memory).values())
        print(f"peak memory of a worker: {peak / 1e6:.0f} MB, {(peak - idle) / 1e6:.0f} MB above "
              "the idle one")
        fits = 8
        for name, (loss, p) in parameters(np.random.default_rng(0)).items():
            whole = np.concatenate([block(seed) for seed in range(fits)])
            chunks = client.persist(lazy_data(fits))
            wait(chunks)
            times = [timed(lambda: dask.compute(*rg.grad(loss)(p, chunks).values())),
                     timed(lambda: rg.grad(loss)(p, whole))]
            print(f"{name}, the same gradient on {whole.nbytes / 1e6:.0f} MB, which fit, "
                  f"{times[0] / times[1]:.1f} times NumPy's time")


def timed(run):
    """The shortest of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
