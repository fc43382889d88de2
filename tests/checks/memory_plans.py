#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `hso` says that a command will take of this machine's memory, against what it takes.

Runs commands of every kind on the CPU and compares the line "plan: ... about X MB of memory" with what the process took
at most, less what `hso models lenet5` takes. They must agree within a tenth or 32 MiB. Then half of that is allowed by
--memory: the command must say what would do, or keep to it.

What it took is the larger of two: the resident set by wait4, whose pages of libraries the system may drop while the
command runs, and anonymous pages, which are looked at every two milliseconds.

    memory_plans.py PROGRAM             all of them
    memory_plans.py PROGRAM spectrum    those with this word in their name
"""
import os
import random
import re
import subprocess
import sys
import tempfile
import time

SLACK = 32 << 20
FASHION = os.environ.get("HSO_FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}  # the buffers of OpenBLAS are counted by the thread


def anonymous(pid):
    """Bytes of a process's anonymous pages; 0 where it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            found = re.search(r"RssAnon:\s+(\d+) kB", file.read())
            return int(found.group(1)) * 1024 if found else 0
    except OSError:
        return 0


def run(arguments, folder):
    """(exit code, bytes: (largest resident set, most anonymous pages), what went to stderr)"""
    with open(os.path.join(folder, "stderr"), "w+", encoding="utf-8") as err, open(os.devnull, "w") as out:
        child = subprocess.Popen(arguments, cwd=folder, env=ENVIRONMENT, stdout=out, stderr=err)
        pid, most = 0, 0
        while pid == 0:
            most = max(most, anonymous(child.pid))
            time.sleep(0.002)
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        child.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        return child.returncode, (usage.ru_maxrss * 1024, most), err.read()


def beyond(bare, taken):
    return max(after - before for before, after in zip(bare, taken))


def write_npy(path, dtype, shape, payload):
    header = str({"descr": dtype, "fortran_order": False, "shape": shape})
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + payload)


def write_pair(folder, name, rows, shape):
    """Bytes for inputs and classes 0 to 9, as NAME_x.npy and NAME_y.npy."""
    draw, size = random.Random(1), rows
    for extent in shape:
        size *= extent
    write_npy(os.path.join(folder, name + "_x.npy"), "|u1", (rows, *shape), draw.randbytes(size))
    labels = bytes(byte % 10 for byte in draw.randbytes(rows))
    write_npy(os.path.join(folder, name + "_y.npy"), "|u1", (rows,), labels)
    return f"{name}_x.npy,{name}_y.npy"


def write_table(folder, rows, columns):
    draw = random.Random(2)
    lines = [",".join(f"{draw.gauss(0, 1):.5f}" for _ in range(columns)) + f",{i % 10}\n" for i in range(500)]
    with open(os.path.join(folder, "table.csv"), "w", encoding="utf-8") as file:
        file.writelines(lines[i % len(lines)] for i in range(rows))
    return "table.csv"


def write_vector(folder, n):
    name = f"v{n}.npy"
    write_npy(os.path.join(folder, name), "|u1", (n,), random.Random(3).randbytes(n))
    return name


def commands(folder):
    images = "fashion-mnist" if os.path.isdir(FASHION) else write_pair(folder, "images", 70000, (1, 28, 28))
    table = write_table(folder, 60000, 100)
    wide, deep = "mlp:784-1000-500-10:tanh", "lenet300"
    digits = ["--data", "digits", "--model", "mlp:64-32-10:tanh"]  # n = 2410
    larger = ["--data", "digits", "--model", "mlp:64-36-10:tanh"]  # n = 2710
    double = ["--precision", "float64"]
    train = lambda optimizer, *rest: ["train", "--optimizer", optimizer, *rest, "--steps", "2"]
    return {
        "train sgd, table": train("sgd", "--data", table, "--model", "mlp:100-50-10:tanh"),
        "train adam, images": train("adam", "--data", images, "--model", wide),
        "train hso, digits": train("hso", *digits),
        "train hso float64, digits": train("hso", *larger, *double),
        "train hso.block, digits": train("hso.block", *digits),
        "train kfac, images": train("kfac", "--data", images, "--model", deep),
        "train hso.kfac, images": train("hso.kfac", "--data", images, "--model", deep),
        "train hso.lowrank, table": train("hso.lowrank", "--data", table, "--model", "mlp:100-50-10:tanh"),
        "eval, images": ["eval", "--checkpoint", "adam"],
        "gradient, images": ["gradient", "--data", images, "--model", deep, "--out", "g.npy"],
        "hessian, digits": ["hessian", *digits, *double, "--out", "h.npy"],
        "hessian product, table": ["hessian", "--data", table, "--model", "mlp:100-50-10:tanh", "--vector",
                                   write_vector(folder, 5560), "--out", "hv.npy"],
        "spectrum dense, digits": ["spectrum", *larger, *double, "--method", "dense", "--out", "s.json"],
        "spectrum lanczos, images": ["spectrum", "--data", images, "--model", "mlp:784-20-10:tanh", "--method", "lanczos",
                                     "--kind", "ggn", "--k", "2", "--tolerance", "1e-2", "--out", "s.json"],
        "spectrum slq, table": ["spectrum", "--data", table, "--model", "mlp:100-50-10:tanh", "--method", "slq",
                                "--probes", "4", "--probe-steps", "5", "--out", "s.json"],
        # Indefinite: what stands behind a Cholesky factor that fails is in the plan, in float32 one in float64 as well.
        "solve dense, digits": ["solve", "--data", "digits", "--model", "mlp:64-26-10:tanh", *double, "--vector",
                                write_vector(folder, 1960), "--method", "dense", "--damping", "0.001", "--out",
                                "x.npy"],
        "solve dense float32, digits": ["solve", *larger, "--vector", write_vector(folder, 2710), "--method", "dense",
                                        "--damping", "0.7", "--out", "x.npy"],
        "solve cg, table": ["solve", "--data", table, "--model", "mlp:100-50-10:tanh", "--kind", "ggn", "--vector",
                            write_vector(folder, 5560), "--method", "cg", "--precondition", "kfac", "--damping", "10",
                            "--out", "x.npy"],
        "solve minres, table": ["solve", "--data", table, "--model", "mlp:100-50-10:tanh", "--vector",
                                write_vector(folder, 5560), "--method", "minres", "--damping", "10", "--out", "x.npy"],
        "prune obs, digits": ["prune", "--checkpoint", "small", "--score", "obs", "--sparsity", "0.5", "--out", "pruned",
                              "--overwrite"],
    }


def prepare(program, folder, table):
    """The runs that eval and prune read."""
    adam = table["train adam, images"]
    for name, arguments in (("adam", adam), ("small", ["train", "--optimizer", "adam", "--epochs", "1"])):
        code, _, text = run([program, *arguments, "--device", "cpu", "--out", name], folder)
        if code != 0:
            sys.exit(f"{name}: exit code {code}: {text}")


def planned_bytes(text):
    found = re.search(r"plan: .*about ([0-9.]+) MB of memory", text)
    return None if found is None else float(found.group(1)) * 1e6


def check(program, folder, name, arguments, bare):
    """A line of the table, and what is wrong."""
    place = ["--out", "run", "--overwrite"] if arguments[0] == "train" else []
    code, peak, text = run([program, *arguments, *place, "--device", "cpu"], folder)
    planned, taken = planned_bytes(text), beyond(bare, peak)
    if code != 0 or planned is None:
        return f"{name}: exit code {code}, no plan?\n{text}", True
    wrong = abs(planned - taken) > max(0.1 * taken, SLACK)
    line = f"{name:28} {planned / 1e6:8.1f} {taken / 1e6:8.1f} {(planned - taken) / 1e6:8.1f}"
    limit = int(planned / 2)
    code, peak, text = run([program, *arguments, *place, "--device", "cpu", "--memory", f"{limit}B"], folder)
    refused = code == 4 and ("would do" in text or "would fit" in text)
    kept = code == 0 and beyond(bare, peak) <= limit + SLACK  # with fewer rows or directions at a time
    if not refused and not kept:
        line += f"  --memory {limit}B: exit code {code}, peak {beyond(bare, peak) / 1e6:.1f}: {text}"
    return line + ("  apart" if wrong else ""), wrong or not (refused or kept)


def main():
    program, wanted = os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    with tempfile.TemporaryDirectory() as folder:
        table = commands(folder)
        prepare(program, folder, table)
        bare = run([program, "models", "lenet5"], folder)[1]
        print(f"the bare process: {bare[0] / 1e6:.1f} MB, {bare[1] / 1e6:.1f} MB of it anonymous\n{'MB beyond it':28} {'plan':>8} {'peak':>8} {'apart':>8}")
        failed = False
        for name, arguments in table.items():
            if wanted in name:
                line, wrong = check(program, folder, name, arguments, bare)
                failed = failed or wrong
                print(line, flush=True)
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
