#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Optimal Brain Surgeon on the MONK problems (Hassibi and Stork, NIPS 1992; Thrun et al., CMU-CS-91-197).

    OMP_NUM_THREADS=1 python3 bench/monks.py --hso build/quickstart/hso --runs runs/monks \\
        --out bench/results/monks-cpu.json

tests/data/monks holds monks-{1,2,3}.{train,test}: header lines ('@' or blank), then class,a1,...,a6. Attributes are one-hot (17
inputs). Networks 17-3-1, 17-2-1, 17-2-1 (58, 39, 39 weights, biases counted), tanh hidden units, one logistic output,
`bce`, float64. Each start is trained on the training part with one weight decay for all problems, then loses one weight
at a time until 14, 15 and 4 are left:

  obs            exact Hessian, compensation, retraining of a few steps after every removal
  obs (no retraining)
  obd            exact diagonal of the Hessian, retraining
  magnitude      retraining

A start passes when its test accuracy is at least 100, 100 and 97 %. The test part is read once, at the end.
"""
import argparse
import datetime
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys

SIZES = [3, 3, 2, 3, 4, 2]
PROBLEMS = {1: {"hidden": 3, "keep": 14, "target": 1.0}, 2: {"hidden": 2, "keep": 15, "target": 1.0},
            3: {"hidden": 2, "keep": 4, "target": 0.97}}


def write_npy(path, shape, numbers, kind):
    header = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % ("<f8" if kind == "d" else "<i8", tuple(shape))
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as out:
        out.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        out.write(struct.pack(f"<{len(numbers)}{kind}", *numbers))


def convert(source, folder, name):
    """x.npy [N][17], y.npy [N] of one problem and part."""
    inputs, targets = [], []
    for line in pathlib.Path(source).read_text().splitlines():
        if not line.strip() or line.startswith("@"):
            continue
        words = [int(word) for word in line.split(",")]
        if len(words) != 7:
            sys.exit(f"{source}: found '{line}', expected seven numbers")
        targets.append(words[0])
        for size, value in zip(SIZES, words[1:]):
            inputs += [1.0 if value == v + 1 else 0.0 for v in range(size)]
    x, y = folder / f"{name}-x.npy", folder / f"{name}-y.npy"
    write_npy(x, [len(targets), 17], inputs, "d")
    write_npy(y, [len(targets)], targets, "q")
    return f"{x},{y}"


class Program:
    def __init__(self, path, again):
        self.path, self.again = path, again

    def json(self, *arguments):
        done = subprocess.run([self.path, *arguments, "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(arguments)}\n{done.stderr}")
        return json.loads(done.stdout)

    def run(self, folder, *arguments, after=""):
        """Into `folder`, unless the same command, after the same command before, made it. Returns the commands."""
        note = folder.parent / (folder.name + ".command")
        command = after + " ".join(arguments)
        if self.again or not (note.exists() and note.read_text() == command):
            shutil.rmtree(folder, ignore_errors=True)
            self.json(*arguments, "--out", str(folder), "--quiet")
            note.write_text(command)
        return command + "; "

    def accuracy(self, folder, data):
        return self.json("eval", "--checkpoint", str(folder), "--data", data)[data]["accuracy"]


def methods(retrain):
    tuned = ["--finetune-steps", str(retrain)]
    return {"obs": ["--score", "obs", *tuned], "obs (no retraining)": ["--score", "obs"],
            "obd": ["--score", "obd", *tuned], "magnitude": ["--score", "magnitude", *tuned]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hso", required=True)
    parser.add_argument("--monks", default=str(pathlib.Path(__file__).parents[1] / "tests/data/monks"),
                        help="folder of monks-{1,2,3}.{train,test}")
    parser.add_argument("--runs", default="runs/monks")
    parser.add_argument("--out")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--problems", default="1,2,3")
    parser.add_argument("--methods", default="all")
    parser.add_argument("--decay", default="3e-3")
    parser.add_argument("--retrain", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--again", action="store_true", help="repeat runs that are there")
    o = parser.parse_args()
    hso, folder = Program(o.hso, o.again), pathlib.Path(o.runs)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {k: v for k, v in methods(o.retrain).items() if o.methods == "all" or k in o.methods.split(",")}
    rows = []
    for number in [int(word) for word in o.problems.split(",")]:
        p = PROBLEMS[number]
        train = convert(f"{o.monks}/monks-{number}.train", folder, f"monks-{number}-train")
        test = convert(f"{o.monks}/monks-{number}.test", folder, f"monks-{number}-test")
        found = {name: [] for name in ["dense", *chosen]}
        for seed in range(o.starts):
            dense = folder / f"m{number}-{seed}"
            made = hso.run(dense, "train", "--model", f"mlp:17-{p['hidden']}-1:tanh", "--loss", "bce", "--data", train,
                    "--scaling", "none", "--test-fraction", "0", "--precision", "float64", "--optimizer", "hso",
                    "--steps", str(o.steps), "--weight-decay", o.decay, "--seed", str(seed), "--device", "cpu")
            found["dense"].append(hso.accuracy(dense, test))
            for name, flags in chosen.items():
                pruned = folder / f"m{number}-{seed}-{re.sub('[^a-z]+', '-', name)}"
                hso.run(pruned, "prune", "--checkpoint", str(dense), *flags, "--keep", str(p["keep"]), "--biases",
                        "--keep-each", "0", "--schedule", "single", "--device", "cpu",
                        after=made)
                found[name].append(hso.accuracy(pruned, test))
        for name, accuracies in found.items():
            passed = sum(a >= p["target"] for a in accuracies)
            rows.append({"problem": number, "method": name, "weights": p["keep"] if name != "dense" else None,
                         "passed": passed, "starts": o.starts, "target": p["target"], "accuracies": accuracies})
            print(f"MONK-{number} {name:20} {passed:2} of {o.starts} at {p['target']:.0%}, mean "
                  f"{sum(accuracies) / len(accuracies):.4f}", flush=True)
    if o.out:
        info = subprocess.run([o.hso, "info"], capture_output=True, text=True).stdout.splitlines()
        pathlib.Path(o.out).write_text(json.dumps({
            "date": datetime.date.today().isoformat(), "program": info[:4], "weight_decay": float(o.decay),
            "retraining_steps": o.retrain, "training_steps": o.steps, "optimizer": "hso (dense, exact Hessian)",
            "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
