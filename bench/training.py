#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the digits with exact second-order steps and with Adam, over seeds, and prints one table.

    bench/training.py --hso build/quickstart/hso --out training.json            # everything
    bench/training.py --hso build/quickstart/hso --seeds 1 --only no-decay      # a part

A seed decides the 1,437/360 split, the Glorot start and the batches. Parts:
  no-decay   mlp:64-32-10:tanh, full batch, no weight decay: hso with Hessian and GGN (20 accepted steps, at most 40
             trials) against the best of six Adam rates (500 full-batch steps), by training loss
  decay      the same network with weight decay 1e-4: test accuracy
  cnn        a small CNN on the digits, hso
  fashion    Fashion-MNIST, one epoch with hvp and with adam (needs Debian's dataset-fashion-mnist)
Seconds are of this machine and this moment; only ratios inside one run mean anything.
"""
import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile

MLP = ["--data", "digits", "--model", "mlp:64-32-10:tanh"]
ADAM_RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]


def run(program, arguments):
    """The last line of metrics.jsonl of one `hso train`, with the best accepted numbers of the run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "train", *arguments, "--out", folder + "/run"]
        done = subprocess.run(command, capture_output=True, text=True)
        lines = pathlib.Path(folder, "run", "metrics.jsonl")
        if not lines.exists():
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        records = [json.loads(line) for line in lines.read_text().splitlines()]
        last = records[-1]
        return {"command": " ".join(["hso", "train", *arguments]), "exit": done.returncode,
                "train_loss": last["train_loss"], "train_accuracy": last["train_accuracy"],
                "test_accuracy": last["test_accuracy"], "seconds": last["seconds"], "steps": last["step"]}


def adam(program, seed, decay):
    runs = [run(program, [*MLP, "--seed", str(seed), "--weight-decay", str(decay), "--optimizer", "adam", "--set",
                          f"rate={rate}", "--batch", "1437", "--steps", "500", "--evaluate-every", "500"])
            | {"rate": rate} for rate in ADAM_RATES]
    finite = [r for r in runs if r["train_loss"] is not None]
    return min(finite, key=lambda r: r["train_loss"])


def hso(program, seed, decay, curvature):
    return run(program, [*MLP, "--seed", str(seed), "--weight-decay", str(decay), "--optimizer", "hso", "--set",
                         f"curvature={curvature}", "--steps", "20"])


def digits_part(program, seeds, decay, curvatures):
    rows = [{"seed": s, **{c: hso(program, s, decay, c) for c in curvatures}} for s in seeds]
    if decay == 0:
        for row in rows:
            row["adam"] = adam(program, row["seed"], decay)
    return rows


def cnn_part(program, seeds):
    return [{"seed": s, "hso": run(program, ["--data", "digits", "--model", "digits_cnn", "--seed", str(s),
                                             "--optimizer", "hso", "--steps", "20", "--weight-decay", "1e-4"])}
            for s in seeds]


def fashion_part(program):
    common = ["--data", "fashion-mnist", "--model", "mlp:784-128-10:tanh", "--epochs", "1", "--batch", "128"]
    return [{"optimizer": o, **run(program, [*common, "--optimizer", o, "--set", f"rate={rate}"])}
            for o, rate in (("hvp", 0.1), ("adam", 0.001))]


def percent(x):
    return f"{100 * x:.2f} %"


def print_digits(title, rows, by_loss):
    print(f"\n{title}\n\n| seed | method | steps | training loss | test accuracy | seconds |\n|---|---|---|---|---|---|")
    for row in rows:
        for name in [n for n in ("hessian", "ggn", "adam") if n in row]:
            r = row[name]
            label = f"adam, rate {r['rate']}" if name == "adam" else f"hso, {name}"
            print(f"| {row['seed']} | {label} | {r['steps']} | {r['train_loss']:.3g} | {percent(r['test_accuracy'])} |"
                  f" {r['seconds']:.1f} |")
    for name in [n for n in ("hessian", "ggn") if n in rows[0]]:
        accuracies = [row[name]["test_accuracy"] for row in rows]
        if by_loss:
            ratios = [row[name]["train_loss"] / row["adam"]["train_loss"] for row in rows]
            print(f"\nhso, {name}: training loss over Adam's best, worst seed: {max(ratios):.2g} (target 0.1)")
        else:
            print(f"\nhso, {name}: test accuracy mean {percent(sum(accuracies) / len(accuracies))}, "
                  f"lowest {percent(min(accuracies))} (targets 97 %, 96 %)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hso", default="build/quickstart/hso")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=["no-decay", "decay", "cnn", "fashion"], action="append")
    parser.add_argument("--curvature", choices=["hessian", "ggn"], action="append", help="default: both")
    parser.add_argument("--out", help="JSON file for all runs")
    args = parser.parse_args()
    parts = args.only or ["no-decay", "decay", "cnn", "fashion"]
    seeds = range(args.seeds)
    curvatures = args.curvature or ["hessian", "ggn"]
    info = json.loads(subprocess.run([args.hso, "info", "--json"], capture_output=True, text=True, check=True).stdout)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            cwd=pathlib.Path(__file__).parent).stdout.strip()
    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": commit,
              "info": info}
    if "no-decay" in parts:
        result["no-decay"] = digits_part(args.hso, seeds, 0, curvatures)
        print_digits("No weight decay", result["no-decay"], True)
    if "decay" in parts:
        result["decay"] = digits_part(args.hso, seeds, 1e-4, curvatures)
        print_digits("Weight decay 1e-4", result["decay"], False)
    if "cnn" in parts:
        result["cnn"] = cnn_part(args.hso, seeds)
        for row in result["cnn"]:
            print(f"digits_cnn, seed {row['seed']}: test accuracy {percent(row['hso']['test_accuracy'])}")
    if "fashion" in parts:
        result["fashion"] = fashion_part(args.hso)
        for row in result["fashion"]:
            print(f"fashion-mnist, {row['optimizer']}: test accuracy {percent(row['test_accuracy'])}")
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
