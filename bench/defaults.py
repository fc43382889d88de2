#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What optimizers reach at their defaults, by gradients of all rows or their equivalent in work.

    bench/defaults.py --hso build/quickstart/hso --out bench/results/defaults-cpu.json

Parts, full batch, three seeds, which decide split and start:
  digits   mlp:64-32-10:tanh, float32: the training loss after 300 gradients, and the gradients to loss 1e-6
  deep     15 linear layers (14 x 32 sigmoid) on standardised digits, float64: the gradients to 95 % training accuracy,
           at most 2,000; some of the methods
Gradients decide, which other programs on the machine do not change; processor seconds are of this machine and moment.
"""
import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile

METHODS = ["hso.cg", "hso.cg:globalization=trust_region", "hso.cg:preconditioner=none", "hso.kfac", "hso.ekfac", "hso.lowrank",
           "newton_cg", "newton_cg:curvature=ggn", "lbfgs"]
DEEP_METHODS = ["hso.cg", "hso.cg:preconditioner=none", "hso.kfac", "lbfgs"]
DIGITS = ["--data", "digits", "--model", "mlp:64-32-10:tanh"]
DEEP = ["--data", "digits", "--model", "mlp:64-" + "32-" * 14 + "10:sigmoid", "--scaling", "standard", "--precision",
        "float64", "--target-accuracy", "0.95", "--max-gradients", "2000"]


def run(program, method, seed, arguments):
    name, _, options = method.partition(":")
    settings = [word for option in options.split(",") if option for word in ("--set", option)]
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "train", "--optimizer", name, *settings, *arguments, "--seed", str(seed), "--device", "cpu",
                   "--steps", "1000000", "--max-trials", "1000000000", "--json", "--quiet", "--out", folder + "/run"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 5):
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    last = json.loads(done.stdout)
    return {"seed": seed, "reached": last["stop_reason"].startswith("target"), "stopped_by": last["stop_reason"],
            "train_loss": last["train_loss"], "gradients": last["gradient_equivalents"], "steps": last["step"],
            "processor_seconds": last["processor_seconds"]}


def spread(runs, key, digits):
    values = sorted(r[key] for r in runs)
    return " ".join(f"{v:.{digits}g}" for v in values)


def arrived(runs):
    return " ".join(f"{r['gradients']:.0f}" if r["reached"] else "-" for r in runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hso", default="build/quickstart/hso")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", help="JSON file for all runs")
    args = parser.parse_args()
    info = json.loads(subprocess.run([args.hso, "info", "--json"], capture_output=True, text=True, check=True).stdout)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True,
                            cwd=pathlib.Path(__file__).parent).stdout.strip()
    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": commit,
              "info": info, "methods": []}
    print("| method | loss after 300 gradients | gradients to 1e-6 | deep: gradients to 95 % |\n|---|---|---|---|")
    for method in METHODS:
        parts = {"digits": [*DIGITS, "--max-gradients", "300"],
                 "digits_to_1e-6": [*DIGITS, "--max-gradients", "1000", "--target-loss", "1e-6"]}
        if method in DEEP_METHODS:
            parts["deep"] = DEEP
        runs = {part: [run(args.hso, method, seed, flags) for seed in range(args.seeds)] for part, flags in parts.items()}
        result["methods"].append({"method": method, **runs})
        print(f"| `{method}` | {spread(runs['digits'], 'train_loss', 2)} | {arrived(runs['digits_to_1e-6'])} |"
              f" {arrived(runs.get('deep', []))} |", flush=True)
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
