#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same curvature by hso and by PyTorch libraries: values compared, times side by side, one table.

    bench/peers/spectrum_peers.py [--hso build/quickstart/hso] [--network 64-32-10] [--rows 1437] [--out peers.json]

A tanh network with random parameters on random data, written as .npy for hso and loaded by the others. Compared:
products with H, the GGN, the empirical Fisher matrix, K-FAC and EKFAC (exact factors, bias and weight together); the ten
largest eigenvalues of the Hessian; its trace by Hutchinson. float64 for values, float32 for times. curvlinops (Dangel et
al.), PyHessian (Yao et al.) and hessian-eigenthings (Golmant et al.) are used where they are installed, and skipped with
a line on stderr where not. Seconds are of the computation alone: no start of a program, no reading of files.
"""
import argparse
import contextlib
import datetime
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
LANES, TOP = 32, 10


class Problem:
    def __init__(self, folder, network, rows):
        self.widths = [int(w) for w in network.split("-")]
        self.model, self.folder = f"mlp:{network}:tanh", pathlib.Path(folder)
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((rows, self.widths[0]))
        self.y = rng.integers(0, self.widths[-1], rows)
        shapes = list(zip(self.widths[1:], self.widths[:-1]))
        self.tensors = [t for s in shapes for t in (rng.uniform(-1, 1, s) * np.sqrt(6 / sum(s)), np.zeros(s[0]))]
        self.theta = np.concatenate([t.ravel() for t in self.tensors])
        self.v = rng.standard_normal(self.theta.size)
        for name in ("x", "y", "theta", "v"):
            np.save(self.folder / f"{name}.npy", getattr(self, name))


class Hso:
    name = "hso"

    def __init__(self, problem, program):
        self.p, self.program = problem, program

    def call(self, command, precision, *more):
        f = self.p.folder
        arguments = [self.program, command, "--model", self.p.model, "--loss", "cross_entropy", "--device", "cpu",
                     "--precision", precision, "--scaling", "none", "--params", f / "theta.npy",
                     "--data", f"{f}/x.npy,{f}/y.npy", *more]
        done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, arguments))}\n{done.stderr}")
        return done.stdout

    def product(self, kind):
        out = self.p.folder / "hv.npy"
        self.call("hessian", "float64", "--kind", kind, "--vector", self.p.folder / "v.npy", "--out", out)
        return np.load(out)

    def spectrum(self, precision, *more):
        return json.loads(self.call("spectrum", precision, "--json", *more))

    def eigenvalues(self, precision):
        r = self.spectrum(precision, "--method", "lanczos", "--k", TOP, "--tolerance", "1e-5")
        return np.array(r["eigenvalues"]), r["seconds"]

    def trace(self, precision, probes):
        r = self.spectrum(precision, "--method", "trace", "--probes", probes)
        return r["trace"]["value"], r["trace"]["standard_error"], r["seconds"]

    def product_seconds(self, kind):
        """A linearisation spread over many products with 32 lanes, which is what an iterative method sees."""
        r = self.spectrum("float32", "--kind", kind, "--method", "trace", "--probes", 10 * LANES)
        return r["seconds"] / r["products"]


class Torch:
    """Network, loss and data in PyTorch."""

    def __init__(self, problem, dtype):
        import torch
        from torch import nn
        self.p, self.torch, self.dtype = problem, torch, dtype
        layers = []
        for a, b in zip(problem.widths, problem.widths[1:]):
            layers += [nn.Linear(a, b), nn.Tanh()]
        self.net = nn.Sequential(*layers[:-1]).to(dtype)
        with torch.no_grad():
            for parameter, tensor in zip(self.net.parameters(), problem.tensors):
                parameter.copy_(torch.tensor(tensor))
        self.loss = nn.CrossEntropyLoss()
        self.data = (torch.tensor(problem.x, dtype=dtype), torch.tensor(problem.y))


class Curvlinops(Torch):
    name = "curvlinops"

    def operator(self, kind):
        import curvlinops
        make = {"hessian": curvlinops.HessianLinearOperator, "ggn": curvlinops.GGNLinearOperator,
                "fisher_empirical": curvlinops.EFLinearOperator, "kfac": curvlinops.KFACLinearOperator,
                "ekfac": curvlinops.EKFACLinearOperator}[kind]
        more = {"fisher_type": "type-2", "separate_weight_and_bias": False} if kind.endswith("kfac") else {}
        return make(self.net, self.loss, list(self.net.parameters()), [self.data], check_deterministic=False, **more)

    def product(self, kind):
        return (self.operator(kind) @ self.torch.tensor(self.p.v, dtype=self.dtype)).detach().numpy()

    def eigenvalues(self):
        from scipy.sparse.linalg import eigsh
        operator, start = self.operator("hessian").to_scipy(), time.perf_counter()
        values = eigsh(operator, k=TOP, which="LA", tol=1e-5, return_eigenvectors=False)
        return np.sort(values), time.perf_counter() - start

    def trace(self, probes):
        from curvlinops import hutchinson_trace
        operator, start = self.operator("hessian"), time.perf_counter()
        return float(hutchinson_trace(operator, num_matvecs=probes)), time.perf_counter() - start

    def product_seconds(self, kind):
        operator = self.operator(kind)
        v = self.torch.randn(self.p.theta.size, LANES, dtype=self.dtype)
        operator @ v
        return best(lambda: operator @ v) / LANES


class PyHessian(Torch):
    name = "PyHessian"

    def eigenvalues(self):
        from pyhessian import hessian
        h, start = hessian(self.net, self.loss, data=self.data, cuda=False), time.perf_counter()
        values = h.eigenvalues(maxIter=1000, tol=1e-5, top_n=TOP)[0]
        return np.sort(values), time.perf_counter() - start

    def trace(self, probes):
        from pyhessian import hessian
        h, start = hessian(self.net, self.loss, data=self.data, cuda=False), time.perf_counter()
        return float(np.mean(h.trace(maxIter=probes, tol=0))), time.perf_counter() - start


class Eigenthings(Torch):
    name = "hessian-eigenthings"

    def operator(self):
        from hessian_eigenthings import HessianOperator, supervised_loss
        return HessianOperator(self.net, [self.data], supervised_loss(self.loss))

    def eigenvalues(self):
        from hessian_eigenthings import lanczos
        operator, start = self.operator(), time.perf_counter()
        values = lanczos(operator, k=TOP, which="LA", tol=1e-5, max_iter=300, reorthogonalize=True).eigenvalues
        return np.sort(values.numpy()), time.perf_counter() - start

    def trace(self, probes):
        from hessian_eigenthings import hutchinson
        operator, start = self.operator(), time.perf_counter()
        result = hutchinson(operator, num_samples=probes)
        return float(result.estimate), time.perf_counter() - start


def best(f, rounds=5):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)


def difference(a, b):
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


def installed(peer, *arguments):
    try:
        return peer(*arguments)
    except ImportError as error:
        print(f"{peer.name}: skipped, {error}", file=sys.stderr)
        return None


def attempt(name, f):
    """f(), quietly; None with a line on stderr when the peer fails."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return f()
    except Exception as error:  # noqa: BLE001  whatever a peer throws, the others go on
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        return None


def compare(problem, hso, probes):
    import torch
    rows = []

    def row(what, peer, agreement, ours, theirs):
        rows.append({"what": what, "peer": peer, "difference": agreement, "hso_seconds": ours, "peer_seconds": theirs})

    exact, fast = installed(Curvlinops, problem, torch.float64), installed(Curvlinops, problem, torch.float32)
    for kind in ("hessian", "ggn", "fisher_empirical", "kfac", "ekfac"):
        theirs = attempt("curvlinops", lambda: exact.product(kind))
        if theirs is not None:
            row(f"{kind} product", "curvlinops", difference(hso.product(kind), theirs), hso.product_seconds(kind),
                attempt("curvlinops", lambda: fast.product_seconds(kind)))
    for peer in (Curvlinops, PyHessian, Eigenthings):
        ours, _ = hso.eigenvalues("float64")
        _, our_seconds = hso.eigenvalues("float32")
        accurate = attempt(peer.name, lambda: peer(problem, torch.float64).eigenvalues())
        timed = attempt(peer.name, lambda: peer(problem, torch.float32).eigenvalues())
        if accurate is not None:
            row(f"{TOP} largest eigenvalues", peer.name, difference(ours, accurate[0]), our_seconds,
                timed[1] if timed else None)
        value, error, our_seconds = hso.trace("float32", probes)
        timed = attempt(peer.name, lambda: peer(problem, torch.float32).trace(probes))
        if timed is not None:
            row(f"trace, {probes} probes, in standard errors", peer.name, abs(value - timed[0]) / error, our_seconds,
                timed[1])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hso", default="build/quickstart/hso")
    parser.add_argument("--network", default="64-32-10")
    parser.add_argument("--rows", type=int, default=1437)
    parser.add_argument("--probes", type=int, default=100)
    parser.add_argument("--out")
    args = parser.parse_args()
    try:
        import torch
    except ImportError as error:
        sys.exit(f"spectrum_peers: {error}; nothing to compare with")
    info = json.loads(subprocess.run([args.hso, "info", "--json"], capture_output=True, text=True, check=True).stdout)
    with tempfile.TemporaryDirectory() as folder:
        problem = Problem(folder, args.network, args.rows)
        rows = compare(problem, Hso(problem, args.hso), args.probes)
    print(f"{args.network}, {args.rows} rows, {torch.get_num_threads()} threads, PyTorch {torch.__version__}\n")
    print("| what | peer | difference | hso s | peer s | peer / hso |\n|---|---|---|---|---|---|")
    for r in rows:
        theirs = r["peer_seconds"]
        cells = ("", "") if theirs is None else (f"{theirs:.3g}", f"{theirs / r['hso_seconds']:.1f}")
        print(f"| {r['what']} | {r['peer']} | {r['difference']:.1e} | {r['hso_seconds']:.3g} | {cells[0]} | {cells[1]} |")
    if args.out:
        date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True,
                                cwd=pathlib.Path(__file__).parent).stdout.strip()
        result = {"date": date, "commit": commit, "network": args.network, "rows": args.rows, "torch": torch.__version__, "info": info,
                  "results": rows}
        pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
