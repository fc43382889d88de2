#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time to target: the seconds that `hso train` spends in steps until a training target is reached.

    bench/time_to_target.py --hso build/quickstart/hso --only digits hso.cg hso.lowrank:rank=16
    bench/time_to_target.py --hso build/quickstart/hso --mnist FOLDER --out bench/results/time-to-target-cpu.json \\
        lbfgs kfac hso.cg 'hso.lowrank:delta=0.01|0.1|1' hso.kfac@batch=4096

Arguments are methods, NAME[:OPTION=VALUE,...][@FLAG=VALUE,...]; flags are those of `hso train`. SGD with momentum and
Adam always run beside them; with --torch PYTHON, an interpreter that has PyTorch, its momentum, Adam and L-BFGS too, on the
same data, starts and batches (peers/torch_train.py). An option with values between '|' is tuned: each value runs once on the first seed, the
soonest runs on all seeds. The first-order rivals have five rates each, half decades of which 0.1 is one, and so has every form of HSO that names no values,
over its own delta; a method without either runs as it is. Where the first or the last value of a grid is the soonest,
the grid goes on in that direction, one value at a time and at most EXTENSIONS of them, for every method alike.

A run ends at its target, or when it has spent --times (5) the best time that any method has had on that problem so far
(and at most --cap seconds): it counts as beaten then. Methods take turns within a seed, so that what else the machine does
falls on all of them. Methods with batches look at the training loss once, twice or four times an epoch (`looks`),
full-batch methods after every step; looking costs no seconds here. A seed decides split, start and batches.

Targets, written down before anything was tuned:
  digits       mlp:64-32-10:tanh, training loss 1e-4 (given)
  sigmoid15    15 linear layers (14 x 32 sigmoid) on standardised digits, float64, 95 % training accuracy (given: with
               vanishing gradients the loss stays at log 10 until a method breaks through)
  lenet300     MNIST, 784-300-100-10 tanh, training loss 0.01 (given)
  lenet5       Fashion-MNIST, training loss 0.25: what a small convolutional network has at about 91 % of its training
               images; no run was made to choose it
  autoencoder  MNIST, 784-1000-500-250-30-250-500-1000-784, bce summed over pixels, training loss 78. Grey pixels as
               targets leave at least 45.76 (their own entropy), the mean image alone has 206.03 (both counted from the
               data): 78 explains four fifths of the difference; no run was made to choose it
Seconds are of this machine and this moment; only ratios inside one run mean anything. On the CPU with OMP_NUM_THREADS=1
processor seconds of the steps judge (`clock` in the JSON), since neighbours on a shared machine do not count in them;
otherwise wall seconds do. Both stand in the JSON.
"""
import argparse
import concurrent.futures
import datetime
import itertools
import json
import math
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

EXTENSIONS = 3
RIVALS = ["momentum:rate=0.003|0.01|0.03|0.1|0.3", "adam:rate=0.0003|0.001|0.003|0.01|0.03"]
TORCH_RIVALS = ["torch.momentum:rate=0.003|0.01|0.03|0.1|0.3", "torch.adam:rate=0.0003|0.001|0.003|0.01|0.03"]
DELTAS = "0.0001|0.001|0.01|0.1|1"

AUTOENCODER = "input = [784]\n" + "".join(
    f'[[layer]]\ntype = "linear"\nout = {out}\n' + ('[[layer]]\ntype = "sigmoid"\n' if sigmoid else "")
    for out, sigmoid in ((1000, 1), (500, 1), (250, 1), (30, 0), (250, 1), (500, 1), (1000, 1), (784, 0)))

PROBLEMS = {
    "digits": {"flags": {"data": "digits", "model": "mlp:64-32-10:tanh"}, "target": {"target-loss": 1e-4},
               "rows": 1437, "looks": 4},
    "sigmoid15": {"flags": {"data": "digits", "model": "mlp:64-" + "32-" * 14 + "10:sigmoid", "scaling": "standard",
                            "precision": "float64"}, "target": {"target-accuracy": 0.95}, "rows": 1437, "looks": 4},
    "lenet300": {"flags": {"data": "MNIST", "model": "lenet300"}, "target": {"target-loss": 0.01},
                 "rows": 60000, "looks": 2},
    "lenet5": {"flags": {"data": "fashion-mnist", "model": "lenet5"}, "target": {"target-loss": 0.25},
               "rows": 60000, "looks": 2},
    "autoencoder": {"flags": {"data": "MNIST", "model": "AUTOENCODER", "loss": "bce", "reconstruct": True},
                    "target": {"target-loss": 78}, "rows": 60000, "looks": 1},
}


class Method:
    """NAME[:OPTION=VALUE,...][@FLAG=VALUE,...]"""

    def __init__(self, text, first_order=False):
        self.text = text
        head, _, flags = text.partition("@")
        self.name, _, options = head.partition(":")
        self.first_order = first_order
        self.torch = self.name.startswith("torch.")
        self.flags = dict(f.split("=", 1) for f in flags.split(",") if f)
        if first_order:
            self.flags.setdefault("batch", "128")
        self.options = {k: v.split("|") for k, v in (o.split("=", 1) for o in options.split(",") if o)}
        if self.name.startswith("hso") and not any(len(v) > 1 for v in self.options.values()):
            self.options.setdefault("delta", DELTAS.split("|"))

    def label(self):
        """Without the values that are tuned."""
        fixed = ",".join(f"{k}={v[0]}" for k, v in self.options.items() if len(v) == 1)
        flags = ",".join(f"{k}={v}" for k, v in self.flags.items() if not self.first_order)
        return self.name + (":" + fixed if fixed else "") + ("@" + flags if flags else "")

    def choices(self):
        """Every combination of the values between '|'."""
        return [dict(zip(self.options, values)) for values in itertools.product(*self.options.values())]


def flags_of(flags):
    words = []
    for name, value in flags.items():
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder, self.best = args, folder, {}
        one_thread = args.device == "cpu" and os.environ.get("OMP_NUM_THREADS") == "1"
        self.clock = "processor_seconds" if one_thread else "seconds"

    def limit(self, problem):
        """By the clock that judges."""
        return min(self.args.cap, self.args.times * self.best.get(problem, math.inf))

    def flags(self, problem, method):
        flags = dict(PROBLEMS[problem]["flags"]) | PROBLEMS[problem]["target"] | method.flags
        if flags["data"] == "MNIST":
            flags["data"] = self.args.mnist
        if flags["model"] == "AUTOENCODER":
            flags["model"] = str(pathlib.Path(self.folder, "autoencoder.toml"))
        if "batch" in flags:
            batches = math.ceil(PROBLEMS[problem]["rows"] / int(flags["batch"]))
            flags.setdefault("evaluate-every", max(1, batches // PROBLEMS[problem]["looks"]))
        return flags

    def run(self, problem, method, options, seed, most=math.inf):
        """One training: when it reached the target, or that it did not."""
        flags = self.flags(problem, method) | {"seed": seed, "steps": 10**9, "max-trials": 10**12,
                                               f"max-{self.clock.replace('_', '-')}": min(most, self.limit(problem)),
                                               "device": self.args.device}
        settings = list(itertools.chain(*(["--set", f"{k}={v}"] for k, v in options.items())))
        if method.torch:
            command = self.torch_command(method, flags, settings)
        else:
            command = [self.args.hso, "train", "--optimizer", method.name, *settings, *flags_of(flags), "--out",
                       tempfile.mkdtemp(dir=self.folder), "--json", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode not in (0, 5):
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        last = json.loads(done.stdout)
        reached = last["stop_reason"].startswith("target")
        if reached:
            self.best[problem] = min(self.best.get(problem, math.inf), last[self.clock])
        result = {"seed": seed, "options": options, "reached": reached, "stopped_by": last["stop_reason"],
                  "seconds": last["seconds"], "processor_seconds": last["processor_seconds"],
                  "judged_seconds": last[self.clock], "gradient_equivalents": last["gradient_equivalents"],
                  "steps": last["step"], "train_loss": last["train_loss"], "train_accuracy": last["train_accuracy"],
                  "test_accuracy": last["test_accuracy"]}
        print(f"{problem}: {method.label()} {options} seed {seed}: {'reached' if reached else last['stop_reason']}, "
              f"{last[self.clock]:.3g} s, {last['gradient_equivalents']:.4g} gradients, loss {last['train_loss']}",
              file=sys.stderr, flush=True)
        return result

    def torch_command(self, method, flags, settings):
        for name in ("steps", "max-trials", "device"):
            flags.pop(name)
        program = str(pathlib.Path(__file__).parent / "peers/torch_train.py")
        return [self.args.torch, program, "--hso", self.args.hso, "--optimizer", method.name.removeprefix("torch."),
                *settings, *flags_of(flags)]

    def together(self, one, items):
        """Results in the order of the items, --jobs at a time."""
        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
            return list(pool.map(one, items))

    def tune(self, problem, method):
        """(trials, options of the soonest; of the lowest loss where none reached the target)"""
        choices = method.choices()
        if len(choices) == 1:
            return [], choices[0]
        one = lambda options: self.run(problem, method, options, 0, self.args.trial_cap)
        trials = self.together(one, choices)
        for _ in range(EXTENSIONS):
            further = beyond(method, soonest_of(trials)["options"], [t["options"] for t in trials])
            if further is None:
                break
            trials.append(one(further))
        return trials, soonest_of(trials)["options"]

    def problem(self, problem, methods):
        tuned = [self.tune(problem, m) for m in methods]
        rows = [{"method": m.label(), "first_order": m.first_order, "trials": trials, "options": options,
                 "at_edge": beyond(m, options, [t["options"] for t in trials]) is not None, "runs": []}
                for m, (trials, options) in zip(methods, tuned)]
        for seed in range(self.args.seeds):
            runs = self.together(lambda pair: self.run(problem, pair[0], pair[1]["options"], seed), zip(methods, rows))
            for row, run in zip(rows, runs):
                row["runs"].append(run)
        for row in rows:
            reached = [r for r in row["runs"] if r["reached"]]
            row["reached"] = len(reached)
            mean = lambda key: sum(r[key] for r in reached) / len(reached) if len(reached) == len(row["runs"]) else None
            for key in ("seconds", "processor_seconds", "judged_seconds", "gradient_equivalents"):
                row[f"mean_{key}"] = mean(key)
        return {"clock": self.clock, "jobs": self.args.jobs, "cap": self.args.cap, "times": self.args.times,
                "trial_cap": None if math.isinf(self.args.trial_cap) else self.args.trial_cap,
                "target": PROBLEMS[problem]["target"], "flags": PROBLEMS[problem]["flags"], "methods": rows,
                **verdict(rows)}


def soonest_of(trials):
    """By seconds where the target was reached, then by loss."""
    def key(t):
        loss = t["train_loss"] if t["train_loss"] is not None else math.inf
        return not t["reached"], t["judged_seconds"] if t["reached"] else loss
    return min(trials, key=key)


def beyond(method, options, tried):
    """The options one step further where the best of a grid of three or more is its first or last; else None."""
    grids = [k for k, v in method.options.items() if len(v) > 2]
    if len(grids) != 1:
        return None
    name = grids[0]
    values = sorted(float(o[name]) for o in tried)
    best = float(options[name])
    if values[0] < best < values[-1]:
        return None
    # Half decades are 1, 3, 10, ...: the step from the last but one to the last follows that before it.
    a, b, c = values[-3:] if best == values[-1] else values[2::-1]
    return options | {name: f"{b * c / a:.3g}"}


def verdict(rows):
    """The soonest of each family over all seeds, and first-order seconds over HSO's: the ratio of the means where a
    first-order method reached the target on every seed, and its lower bound, where runs count by what they spent."""
    def soonest(belongs):
        timed = [r for r in rows if belongs(r) and r["mean_judged_seconds"] is not None]
        return min(timed, key=lambda r: r["mean_judged_seconds"], default=None)
    hso = soonest(lambda r: r["method"].startswith("hso"))
    first = soonest(lambda r: r["first_order"])
    ratio = first["mean_judged_seconds"] / hso["mean_judged_seconds"] if hso and first else None
    spent = [sum(run["judged_seconds"] for run in r["runs"]) / len(r["runs"]) for r in rows if r["first_order"]]
    bound = min(spent) / hso["mean_judged_seconds"] if hso else None
    return {"best_hso": hso and hso["method"], "best_first_order": first and first["method"],
            "first_order_over_hso": ratio, "first_order_over_hso_at_least": bound}


def table(name, problem):
    target = ", ".join(f"{k} {v}" for k, v in problem["target"].items())
    print(f"\n{name}: {target}\n\n| method | tuned | reached | seconds | gradient-equivalents |\n|---|---|---|---|---|")
    for row in problem["methods"]:
        tuned = ", ".join(f"{k}={v}" for k, v in row["options"].items() if f"{k}={v}" not in row["method"]) or "-"
        tuned += " (end of its grid)" if row["at_edge"] else ""
        reached = f"{row['reached']} of {len(row['runs'])}"
        figures = [f"{row[k]:.3g}" if row[k] is not None else
                   f"not within {max(r[k[5:]] for r in row['runs']):.3g}"
                   for k in ("mean_judged_seconds", "mean_gradient_equivalents")]
        print(f"| {row['method']} | {tuned} | {reached} | {figures[0]} | {figures[1]} |")
    if problem["first_order_over_hso"]:
        print(f"\n{problem['best_first_order']} over {problem['best_hso']}: {problem['first_order_over_hso']:.2f}")
    elif problem["first_order_over_hso_at_least"]:
        print(f"\nfirst-order methods over {problem['best_hso']}: at least {problem['first_order_over_hso_at_least']:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", help="beside SGD with momentum and Adam")
    parser.add_argument("--hso", default="build/quickstart/hso")
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has PyTorch: its optimizers run beside")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mnist", default=str(pathlib.Path(__file__).parents[2] / "shared/data/mnist"),
                        help="folder of MNIST's four IDX files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cap", type=float, default=600, help="seconds in steps of one run at most")
    parser.add_argument("--trial-cap", type=float, default=math.inf,
                        help="the same of a run that tunes: where none reaches the target, the lowest loss is chosen")
    parser.add_argument("--times", type=float, default=5, help="a run that needs more times the best is beaten")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, where processor seconds judge")
    parser.add_argument("--only", choices=list(PROBLEMS), action="append")
    parser.add_argument("--out", help="JSON file; problems that are there already and not run again are kept")
    args = parser.parse_args()
    if args.torch and args.device != "cpu":
        parser.error("--torch: PyTorch runs on the CPU here, expected --device cpu")
    # The rivals last: what came before bounds the time that their poor rates may take.
    rivals = RIVALS + (TORCH_RIVALS if args.torch else [])
    methods = [Method(m) for m in args.methods + (["torch.lbfgs"] if args.torch else [])] + [
        Method(m, first_order=True) for m in rivals]
    info = json.loads(subprocess.run([args.hso, "info", "--json"], capture_output=True, text=True, check=True).stdout)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True,
                            cwd=pathlib.Path(__file__).parent).stdout.strip()
    out = pathlib.Path(args.out) if args.out else None
    result = json.loads(out.read_text()) if out and out.exists() else {"problems": {}}
    about = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": commit,
             "info": info, "machine": {"processor": processor(), "cpus": os.cpu_count(),
                                       "threads": os.environ.get("OMP_NUM_THREADS", "all"),
                                       "load_average": os.getloadavg()}}
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "autoencoder.toml").write_text(AUTOENCODER)
        bench = Bench(args, folder)
        for name in args.only or PROBLEMS:
            result["problems"][name] = {**about, **bench.problem(name, methods)}
            table(name, result["problems"][name])
            if out:
                out.write_text(json.dumps(result, indent=1) + "\n")


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
