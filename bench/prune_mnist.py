#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prunes LeNet-300-100 and LeNet-5 on MNIST: one table.

    OMP_NUM_THREADS=1 python3 bench/prune_mnist.py --hso build/quickstart/hso --mnist MNIST --runs runs/prune-mnist \\
        --out bench/results/prune-mnist-cpu.json

MNIST is a folder of the four IDX files. Everything but the reported errors sees the training part alone.

  lenet300    Adam, batch 128, cosine to 0, 20 epochs, weight decay 1e-4; then, on every seed, 93 % and 98 % of the
              weights go without a gradient step: layer-wise OBS (kfac_obs) in 8 gradual stages, its factors anew at every
              stage; obd, fisher, magnitude (global and per layer) and random beside it, seed 0 alone where `first`.
              Then fine-tuning under the mask with Adam: 1 epoch after 93 %, 10 epochs after 98 %
  lenet5      Adam, 8 epochs; then channels and neurons by kfac_obs in 4 stages (factors of 10,000 rows) until --multiply-adds of the
              multiply-adds are gone, 5 epochs of fine-tuning, and forward passes of --time rows of both networks

Runs are kept in --runs and not repeated when they are there with the same command.
"""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys

TRAIN = {"lenet300": ["--epochs", "20", "--wrap", "cosine:9380", "--weight-decay", "1e-4"],
         "lenet5": ["--epochs", "8", "--wrap", "cosine:3752"]}
# name: flags, first seed alone
SCORES = {"kfac_obs": (["--score", "kfac_obs", "--schedule", "gradual:8"], False),
          "kfac_obs (one stage)": (["--score", "kfac_obs"], True),
          "fisher": (["--score", "fisher", "--schedule", "gradual:8", "--samples", "400"], True),
          "obd": (["--score", "obd", "--curvature", "ggn"], True),
          "magnitude": (["--score", "magnitude"], False),
          "magnitude (per layer)": (["--score", "magnitude", "--per-layer"], True),
          "random": (["--score", "random"], True)}
TUNED = {"kfac_obs", "magnitude"}
EPOCHS = {0.93: 1, 0.98: 10}


class Runs:
    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def json(self, *arguments):
        done = subprocess.run([self.program, *arguments, "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(arguments)}\n{done.stderr}")
        return json.loads(done.stdout)

    def run(self, name, *arguments):
        """The JSON of a command that writes the run `name`, from the disk where it was made by the same command."""
        folder, note = self.folder / name, self.folder / (name + ".json")
        command = " ".join(arguments)
        if note.exists():
            kept = json.loads(note.read_text())
            if kept["command"] == command:
                return kept["result"]
        shutil.rmtree(folder, ignore_errors=True)
        result = self.json(*arguments, "--device", "cpu", "--out", str(folder), "--quiet")
        note.write_text(json.dumps({"command": command, "result": result}))
        print(f"{name} done", file=sys.stderr, flush=True)
        return result

    def path(self, name):
        return str(self.folder / name)

    def train(self, network, seed, mnist):
        name = f"{network}-{seed}"
        result = self.run(name, "train", "--model", network, "--data", mnist, "--optimizer", "adam", "--rate", "0.001",
                          "--batch", "128", *TRAIN[network], "--seed", str(seed), "--evaluate-every", "100000")
        return name, 1 - result["test_accuracy"]

    def tune(self, start, epochs):
        """One epoch wants short steps taken often: of 0.001, 0.002 and 0.004 the rate with the least training loss."""
        rate, batch, steps = ("0.004", "64", 938) if epochs == 1 else ("0.001", "128", 469)
        result = self.run(f"{start}-tuned{epochs}", "train", "--start", self.path(start), "--optimizer", "adam", "--rate",
                          rate, "--batch", batch, "--epochs", str(epochs), "--wrap", f"cosine:{steps * epochs}",
                          "--evaluate-every", "100000")
        return 1 - result["test_accuracy"]


def error_of(report):
    return 1 - report["stages"][-1]["test"]["accuracy"]


def mean(values):
    return sum(values) / len(values)


def weights(runs, o):
    rows = []
    for sparsity in [float(word) for word in o.sparsity.split(",")]:
        for name, (flags, first) in SCORES.items():
            if o.scores != "all" and name not in o.scores.split(","):
                continue
            row = {"network": "lenet300", "score": name, "sparsity": sparsity, "dense": [], "pruned": [], "tuned": [],
                   "finetune_epochs": EPOCHS[sparsity]}
            for seed in range(1 if first else o.seeds):
                dense, error = runs.train("lenet300", seed, o.mnist)
                pruned = f"{dense}-{name.replace(' ', '-')}-{sparsity}"
                report = runs.run(pruned, "prune", "--checkpoint", runs.path(dense), *flags, "--sparsity", str(sparsity))
                row["dense"].append(error)
                row["pruned"].append(error_of(report))
                row["seconds"] = sum(stage["seconds"] for stage in report["stages"])
                row["bytes"] = [report["size_before"]["bytes"], report["size_after"]["bytes"]]
                if name in TUNED:
                    row["tuned"].append(runs.tune(pruned, EPOCHS[sparsity]))
            rows.append(row)
            tuned = f", after {EPOCHS[sparsity]} epochs {mean(row['tuned']):.2%}" if row["tuned"] else ""
            print(f"lenet300 {sparsity:.0%} {name:24} error {mean(row['pruned']):.2%} (dense {mean(row['dense']):.2%})"
                  f"{tuned}", flush=True)
    return rows


def channels(runs, o):
    row = {"network": "lenet5", "score": "kfac_obs", "structured": "channels", "dense": [], "pruned": [], "tuned": [],
           "speedup": [], "size_before": None, "size_after": [], "time_rows": o.time,
           "threads": os.environ.get("OMP_NUM_THREADS", "all"), "finetune_epochs": 5}
    for seed in range(o.seeds):
        dense, error = runs.train("lenet5", seed, o.mnist)
        pruned = f"{dense}-channels"
        report = runs.run(pruned, "prune", "--checkpoint", runs.path(dense), "--score", "kfac_obs", "--structured",
                          "channels", "--multiply-adds", str(o.multiply_adds), "--schedule", "iterative:4", "--rows", "10000", "--time",
                          str(o.time))
        before, after = report["size_before"], report["size_after"]
        row["dense"].append(error)
        row["pruned"].append(error_of(report))
        row["tuned"].append(runs.tune(pruned, 5))
        row["speedup"].append(before["forward_milliseconds"] / after["forward_milliseconds"])
        row["size_before"] = before
        row["size_after"].append(after)
        print(f"lenet5 seed {seed}: multiply-adds {before['multiply_adds']} -> {after['multiply_adds']}, error "
              f"{error:.2%} -> {row['pruned'][-1]:.2%} -> {row['tuned'][-1]:.2%}, forward "
              f"{row['speedup'][-1]:.2f} times faster", flush=True)
    return [row]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hso", required=True)
    parser.add_argument("--mnist", required=True)
    parser.add_argument("--runs", default="runs/prune-mnist")
    parser.add_argument("--out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="lenet300,lenet5")
    parser.add_argument("--sparsity", default="0.93,0.98")
    parser.add_argument("--scores", default="all")
    parser.add_argument("--multiply-adds", type=float, default=0.7)
    parser.add_argument("--time", type=int, default=256)
    o = parser.parse_args()
    runs, rows = Runs(o.hso, o.runs), []
    if "lenet300" in o.only.split(","):
        rows += weights(runs, o)
    if "lenet5" in o.only.split(","):
        rows += channels(runs, o)
    if o.out:
        info = subprocess.run([o.hso, "info"], capture_output=True, text=True).stdout.splitlines()
        pathlib.Path(o.out).write_text(json.dumps({"date": datetime.date.today().isoformat(), "program": info[:4],
                                                   "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
