#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bits per character of a text after equal time in steps.

    bench/bits_per_character.py --hso build/quickstart/hso --torch PYTHON --text FILE --out bench/results/characters-cpu.json \\
        'adam:rate=0.001|0.003|0.01' 'hso.kfac:judged=false,kl_clip=0.001,delta=0.01,rate=0.1|0.3|1'

Arguments are methods as time_to_target.py has them: each value between '|' runs once on the first seed for the same
--seconds, the one with the lowest training loss runs on all seeds. With --torch PyTorch's Adam runs beside them, on the
same characters, starts and batches (peers/torch_train.py). Processor seconds with OMP_NUM_THREADS=1, as there. The test
part is the last fifth of the text; bits are those of its characters, each with at most the window's characters before it.
"""
import argparse
import datetime
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

from time_to_target import Method, processor

MODELS = {
    "char_transformer": None,
    "char_gru": "input = [64]\n\n[[layer]]\ntype = \"one_hot\"\ncount = 65\n\n[[layer]]\ntype = \"gru\"\nhidden = 128\n\n"
                "[[layer]]\ntype = \"linear\"\nout = 65\n",
}


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder

    def run(self, model, method, options, seed):
        path = model
        if MODELS[model]:
            path = str(pathlib.Path(self.folder, model + ".toml"))
            pathlib.Path(path).write_text(MODELS[model])
        settings = [word for k, v in options.items() for word in ("--set", f"{k}={v}")]
        flags = ["--data", "text:" + self.args.text, "--model", path, "--seed", str(seed), "--batch",
                 method.flags.get("batch", "64"), "--evaluate-every", "1000000", "--max-processor-seconds",
                 str(self.args.seconds)]
        if method.torch:
            program = str(pathlib.Path(__file__).parent / "peers/torch_train.py")
            command = [self.args.torch, program, "--hso", self.args.hso, "--optimizer",
                       method.name.removeprefix("torch."), *settings, *flags]
        else:
            command = [self.args.hso, "train", "--optimizer", method.name, *settings, *flags, "--steps", "1000000000",
                       "--device", "cpu", "--json", "--quiet", "--out", tempfile.mkdtemp(dir=self.folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode not in (0, 5):
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        last = json.loads(done.stdout)
        bits = last["test_loss"] / math.log(2) if last["test_loss"] is not None else None
        print(f"{model}: {method.label()} {options} seed {seed}: {last['step']} steps, training loss "
              f"{last['train_loss']}, test {bits} bits", file=sys.stderr, flush=True)
        return {"seed": seed, "options": options, "steps": last["step"], "train_loss": last["train_loss"],
                "test_loss": last["test_loss"], "test_bits": bits, "test_accuracy": last["test_accuracy"],
                "processor_seconds": last["processor_seconds"]}

    def model(self, model, methods):
        rows = []
        for m in methods:
            choices = m.choices()
            trials = [self.run(model, m, c, 0) for c in choices]
            loss = lambda t: t["train_loss"] if t["train_loss"] is not None else math.inf
            best = min(trials, key=loss)
            rows.append({"method": m.label(), "options": best["options"], "trials": trials, "runs": [best]})
        for seed in range(1, self.args.seeds):
            for m, row in zip(methods, rows):
                row["runs"].append(self.run(model, m, row["options"], seed))
        return {"seconds": self.args.seconds, "methods": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--hso", default="build/quickstart/hso")
    parser.add_argument("--torch", metavar="PYTHON")
    parser.add_argument("--text", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=list(MODELS), action="append")
    parser.add_argument("--out")
    args = parser.parse_args()
    methods = [Method(m) for m in args.methods + (["torch.adam:rate=0.001|0.003|0.01"] if args.torch else [])]
    info = json.loads(subprocess.run([args.hso, "info", "--json"], capture_output=True, text=True, check=True).stdout)
    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "info": info,
              "processor": processor(), "threads": os.environ.get("OMP_NUM_THREADS", "all"),
              "text": pathlib.Path(args.text).name, "models": {}}
    with tempfile.TemporaryDirectory() as folder:
        for model in args.only or MODELS:
            result["models"][model] = Bench(args, folder).model(model, methods)
            print(f"\n{model}, {args.seconds:g} s in steps\n\n| method | options | steps | bits per character (test) |\n"
                  "|---|---|---|---|")
            for row in result["models"][model]["methods"]:
                bits = [r["test_bits"] for r in row["runs"] if r["test_bits"] is not None]
                steps = round(sum(r["steps"] for r in row["runs"]) / len(row["runs"]))
                spread = f"{min(bits):.3f} to {max(bits):.3f}" if bits else "not finite"
                print(f"| {row['method']} | {row['options']} | {steps} | {spread} |", flush=True)
            if args.out:
                pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
