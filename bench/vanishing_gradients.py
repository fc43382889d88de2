#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains deep sigmoid networks on the digits, where gradients vanish, and draws one picture.

    OMP_NUM_THREADS=1 python3 bench/vanishing_gradients.py --hso build/quickstart/hso --runs runs/vanishing \\
        --out bench/results/vanishing-gradients-cpu.json --svg bench/results/vanishing-gradients.svg

The networks have hidden layers of 32 sigmoid units and 10 outputs: 15 linear layers (`deep`) and 10 (`shallow`).
Standardised inputs, Glorot uniform start, zero bias, cross-entropy, float64; a seed decides split, start and batches.

  hso.cg          full batch, default options, at most 150 steps, stopped at training loss 0.1; `deep`: all seeds
  hso.cg float32  the same in single precision, seed 0: differences of the loss vanish in rounding
  sgd, momentum, adam   batch 128; seed 0: five rates for --search-epochs, --epochs at the best of them (by
                  accuracy, then loss, on the training part). `shallow`: adam alone

Runs are kept in --runs and not repeated when they are there with the same command; `time` is when each was made.
Per-layer gradient norms, at the start and where each method ends, are of `hso gradient` on the run's training part, seed 0.
"""
import argparse
import array
import datetime
import json
import math
import pathlib
import re
import shutil
import struct
import subprocess
import sys

HIDDEN = {"deep": 14, "shallow": 9}
RATES = {"sgd": [0.03, 0.1, 0.3, 1, 3], "momentum": [0.01, 0.03, 0.1, 0.3, 1], "adam": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]}
TARGET = 0.95
TERMS = ("one thread; first-order methods on seed 0 alone, each rate for as many epochs as `search_epochs` says; hso.cg "
         "stops at training loss 0.1; seconds are of optimizer steps, on a machine that may be shared")


def model_of(net):
    return "mlp:64-" + "32-" * HIDDEN[net] + "10:sigmoid"


def setting_of(net, seed, precision="float64"):
    return ["--data", "digits", "--model", model_of(net), "--scaling", "standard", "--precision", precision, "--seed",
            str(seed)]


class Runs:
    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def train(self, name, arguments):
        folder, note = self.folder / name, self.folder / (name + ".command")
        command = " ".join(["hso", "train", *arguments])
        if not (note.exists() and note.read_text() == command):
            shutil.rmtree(folder, ignore_errors=True)
            done = subprocess.run([self.program, "train", *arguments, "--device", "cpu", "--out", str(folder)],
                                  capture_output=True, text=True)
            if not (folder / "metrics.jsonl").exists():
                sys.exit(f"{command}\n{done.stderr}")
            note.write_text(command)
        return self.read(folder, command)

    def read(self, folder, command):
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        products, reached = 0, None
        for r in records:
            products += r.get("products", 0)
            if reached is None and r["train_accuracy"] >= TARGET:
                reached = {"step": r["step"], "epoch": r["epoch"], "products": products, "seconds": r["seconds"]}
        last = records[-1]
        keep = max(1, len(records) // 50)
        curve = [[round(r["epoch"], 2), float(f"{r['train_loss']:.5g}"), round(r["train_accuracy"], 4)]
                 for i, r in enumerate(records) if i % keep == 0 or r is last]
        made = json.loads((folder / "env.json").read_text())["time"]
        return {"command": command, "time": made, "folder": str(folder), "steps": last["step"], "epochs": last["epoch"],
                "train_loss": last["train_loss"], "train_accuracy": last["train_accuracy"],
                "best_train_accuracy": max(r["train_accuracy"] for r in records),
                "test_accuracy": last["test_accuracy"], "seconds": last["seconds"], "products": products,
                "reached_95": reached, "curve": curve}

    def start_of(self, net):
        """A run that stands at its start: in float64 a step of length 1e-300 changes no parameter."""
        return self.train(f"{net}-start", [*setting_of(net, 0), "--optimizer", "sgd", "--set", "rate=1e-300", "--steps",
                                           "1"])

    def gradient_norms(self, net, run):
        """|gradient| of weights and bias of every linear layer, the input's first."""
        file = self.folder / "gradient.npy"
        subprocess.run([self.program, "gradient", "--checkpoint", run["folder"], "--device", "cpu", "--out", str(file)],
                       check=True, capture_output=True)
        data = file.read_bytes()
        start = 10 + struct.unpack("<H", data[8:10])[0]
        header = data[10:start].decode()
        values = array.array("d" if "<f8" in header else "f", data[start:])
        widths, norms, at = [64] + [32] * HIDDEN[net] + [10], [], 0
        for inputs, outputs in zip(widths, widths[1:]):
            size = (inputs + 1) * outputs
            norms.append(math.sqrt(sum(v * v for v in values[at:at + size])))
            at += size
        return norms


def hso_cg(runs, net, seed, precision="float64"):
    arguments = [*setting_of(net, seed, precision), "--optimizer", "hso.cg", "--steps", "150", "--target-loss", "0.1"]
    name = f"{net}-hso.cg-{seed}" + ("" if precision == "float64" else "-" + precision)
    return {"seed": seed, "precision": precision, **runs.train(name, arguments)}


def first_order(runs, net, method, seed, search_epochs, epochs):
    def one(rate, length):
        every = max(1, length // 100) * 12  # 12 steps of 128 rows make an epoch
        return {"rate": rate, "seed": seed, **runs.train(
            f"{net}-{method}-{rate}-{length}",
            [*setting_of(net, seed), "--optimizer", method, "--set", f"rate={rate}", "--batch", "128", "--epochs",
             str(length), "--evaluate-every", str(every)])}
    search = [one(rate, search_epochs) for rate in RATES[method]]
    finite = [r for r in search if r["train_loss"] is not None]
    best = max(finite, key=lambda r: (r["best_train_accuracy"], -r["train_loss"]))
    for r in search:
        del r["curve"]
    return {"search_epochs": search_epochs, "search": search, "best": one(best["rate"], epochs)}


def run_net(runs, net, args):
    methods = ["sgd", "momentum", "adam"] if net == "deep" else ["adam"]
    seeds = range(args.seeds) if net == "deep" else [0]
    out = {"model": model_of(net), "hso.cg": [hso_cg(runs, net, seed) for seed in seeds]}
    if net == "deep":
        out["hso.cg float32"] = [hso_cg(runs, net, 0, "float32")]
    for method in methods:
        out[method] = first_order(runs, net, method, 0, args.search_epochs, args.epochs)
    ends = {"hso.cg": out["hso.cg"][0], **{m: out[m]["best"] for m in methods}}
    ends = {"start": runs.start_of(net), **ends}
    out["gradient_norms"] = {m: runs.gradient_norms(net, r) for m, r in ends.items()}
    return out


COLOURS = {"hso.cg": "#0072b2", "sgd": "#d55e00", "momentum": "#cc79a7", "adam": "#009e73", "start": "#555555"}


class Panel:
    """Axes of a plot; x and y are numbers or, with log, their logarithms."""

    def __init__(self, left, title, x_label, x_range, y_range, log_x, log_y):
        self.left, self.x_range, self.y_range, self.log_x, self.log_y = left, x_range, y_range, log_x, log_y
        self.parts = [f'<text x="{left}" y="22" font-weight="bold">{title}</text>',
                      f'<text x="{left + 130}" y="292" text-anchor="middle">{x_label}</text>',
                      f'<rect x="{left}" y="40" width="260" height="220" fill="none" stroke="#999"/>']

    def place(self, value, low, high, log):
        f = math.log10 if log else float
        return (f(value) - f(low)) / (f(high) - f(low))

    def x(self, value):
        return self.left + 260 * self.place(value, *self.x_range, self.log_x)

    def y(self, value):
        return 260 - 220 * min(1, max(0, self.place(value, *self.y_range, self.log_y)))

    def ticks(self, xs, ys):
        for value, text in xs:
            self.parts.append(f'<text x="{self.x(value):.1f}" y="275" text-anchor="middle">{text}</text>')
        for value, text in ys:
            self.parts.append(f'<text x="{self.left - 5}" y="{self.y(value) + 4:.1f}" text-anchor="end">{text}</text>'
                              f'<line x1="{self.left}" x2="{self.left + 260}" y1="{self.y(value):.1f}" '
                              f'y2="{self.y(value):.1f}" stroke="#eee"/>')

    def line(self, points, colour, width=1.6, dash=""):
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" '
                          f'stroke-dasharray="{dash}"/>')

    def legend(self, names, top):
        for i, name in enumerate(names):
            y = top + 16 * i
            self.parts.append(f'<line x1="{self.left + 8}" x2="{self.left + 28}" y1="{y}" y2="{y}" stroke-width="2" '
                              f'stroke="{COLOURS[name]}"/><text x="{self.left + 33}" y="{y + 4}">{name}</text>')


def accuracy_panel(left, title, net):
    panel = Panel(left, title, "epochs; steps of hso.cg (log)", (1, 1000), (0, 1), True, False)
    panel.ticks([(1, "1"), (10, "10"), (100, "100"), (1000, "1000")],
                [(v / 100, f"{v} %") for v in (0, 25, 50, 75, 100)])
    methods = [m for m in ("sgd", "momentum", "adam") if m in net]
    for m in methods:
        panel.line([(x, a) for x, _, a in net[m]["best"]["curve"] if x >= 1], COLOURS[m])
    for r in net["hso.cg"]:
        panel.line([(x, a) for x, _, a in r["curve"] if x >= 1], COLOURS["hso.cg"])
    for r in net.get("hso.cg float32", []):
        panel.line([(x, a) for x, _, a in r["curve"] if x >= 1], COLOURS["hso.cg"], 1.6, "4 3")
    panel.legend(["hso.cg", *methods], 56)
    return panel


def gradient_panel(left, title, norms):
    values = [v for series in norms.values() for v in series if v > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    count = len(norms["start"])
    panel = Panel(left, title, "linear layer, the input's first", (1, count), (10.0**low, 10.0**high), False, True)
    panel.ticks([(i, str(i)) for i in range(1, count + 1, 2)],
                [(10.0**e, f"1e{e}") for e in range(low, high + 1, max(1, (high - low) // 6))])
    for name, series in norms.items():
        dash = "4 3" if name == "start" else ""
        panel.line([(i + 1, v) for i, v in enumerate(series) if v > 0], COLOURS[name], 1.6, dash)
    panel.legend(norms, 56)
    return panel


def draw(result):
    deep, shallow = result["deep"], result["shallow"]
    panels = [accuracy_panel(60, "15 layers: training accuracy", deep),
              gradient_panel(400, "15 layers: gradient norms", deep["gradient_norms"]),
              accuracy_panel(740, "10 layers: training accuracy", shallow)]
    body = "\n".join("\n".join(p.parts) for p in panels)
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1020 305" font-family="sans-serif" font-size="12">\n'
            f'<rect width="1020" height="305" fill="white"/>\n{body}\n</svg>\n')


def compact(result):
    """JSON with lists of numbers on one line."""
    text = json.dumps(result, indent=1)
    return re.sub(r"\[[-+\d.eE,\s\[\]]+\]", lambda m: re.sub(r"\s+", " ", m.group()), text)


def report(result):
    print("| layers | method | training accuracy | training loss | epochs or steps | 95 % after |\n"
          "|---|---|---|---|---|---|")
    for net, layers in (("deep", 15), ("shallow", 10)):
        rows = [(f"hso.cg, seed {r['seed']}, {r['precision']}", r)
                for key in ("hso.cg", "hso.cg float32") for r in result[net].get(key, [])]
        rows += [(f"{m}, rate {result[net][m]['best']['rate']}", result[net][m]["best"])
                 for m in RATES if m in result[net]]
        for name, r in rows:
            at = r["reached_95"]
            after = f"{at['step']} steps, {at['products']} products, {at['seconds']:.0f} s" if at else "never"
            print(f"| {layers} | {name} | {100 * r['train_accuracy']:.1f} % | {r['train_loss']:.3g} | {r['epochs']:.0f} |"
                  f" {after} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hso", default="build/quickstart/hso")
    parser.add_argument("--runs", default="runs/vanishing")
    parser.add_argument("--seeds", type=int, default=5, help="of hso.cg on the 15 layers")
    parser.add_argument("--search-epochs", type=int, default=1000, help="of each rate")
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--commit", help="that the program was built from; default: this checkout's")
    parser.add_argument("--out", help="JSON file for all runs")
    parser.add_argument("--svg", help="the picture")
    args = parser.parse_args()
    info = json.loads(subprocess.run([args.hso, "info", "--json"], capture_output=True, text=True, check=True).stdout)
    commit = args.commit or subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                                           cwd=pathlib.Path(__file__).parent).stdout.strip()
    runs = Runs(args.hso, args.runs)
    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": commit,
              "info": info, "terms": TERMS, **{net: run_net(runs, net, args) for net in HIDDEN}}
    for net in ("deep", "shallow"):
        for part in result[net].values():
            for r in (part if isinstance(part, list) else [*part.get("search", []), part.get("best", {})]
                      if isinstance(part, dict) else []):
                r.pop("folder", None)
    report(result)
    if args.out:
        pathlib.Path(args.out).write_text(compact(result) + "\n")
    if args.svg:
        pathlib.Path(args.svg).write_text(draw(result))


if __name__ == "__main__":
    main()
