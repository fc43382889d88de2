#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains with PyTorch's optimizers on the data, the start and the batches of `hso train`; time_to_target.py calls it.

    bench/peers/torch_train.py --hso build/quickstart/hso --optimizer momentum --set rate=0.1 --data FOLDER \\
        --model lenet300 --batch 128 --target-loss 0.01 --max-processor-seconds 60

Flags and the JSON on stdout are those of `hso train` (a part of them). Start and split come from a run of hso that moves
nothing, the order of the batches from the same random numbers (Philox4x32-10); the loss at the start and on the first
batch must be those that hso wrote, within float32's rounding, or nothing is timed. As many threads as OMP_NUM_THREADS says, else all. Optimizers: momentum (SGD with 0.9) and adam, fused where this PyTorch has that for CPUs, and lbfgs (strong Wolfe,
history 10, all rows, no tolerances), which ends at its first evaluation that meets a target loss, or the first beyond its
budget. A step of a copy warms up.
"""
import argparse
import copy
import functools
import gzip
import json
import math
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHUFFLE, EPOCHS, PERMUTED = 0x73687566666c6500, 0x65706f6368730000, 0x7065726d75746564


def philox(seed, stream, counter):
    """Words 0 and 1 of the blocks of an array of counters, as one number of 64 bits (detail/philox.hpp)."""
    low = np.uint64(0xFFFFFFFF)
    counter = np.asarray(counter, np.uint64)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    c0, c1 = counter & low, counter >> np.uint64(32)
    c2, c3 = np.full_like(c0, stream & 0xFFFFFFFF), np.full_like(c0, stream >> 32)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c2 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & low, p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c1 << np.uint64(32) | c0


def shuffled(n, seed):
    """host/data/split.cpp"""
    order, counter = list(range(n)), 0
    words = philox(seed, SHUFFLE, np.arange(2 * n))
    for i in range(n, 1, -1):
        limit = 2**64 - 1 - (2**64 - 1) % i
        while int(words[counter]) >= limit:
            counter += 1
        j = int(words[counter]) % i
        counter += 1
        order[i - 1], order[j] = order[j], order[i - 1]
    return order


def epoch_order(n, seed, epoch):
    """host/train/batch_order.cpp"""
    of_epoch = int(philox(seed, EPOCHS, [epoch])[0])
    return np.argsort(philox(of_epoch, PERMUTED, np.arange(n)), kind="stable")


def digits(seed):
    """The training part of the digits in host/data/digits_data.cpp (embed_digits.py says how they are written)."""
    text = (ROOT / "host/data/digits_data.cpp").read_text()
    rows = []
    for row in re.findall(r'^"([^"]{44})",$', text, re.MULTILINE):
        digit = [ord(c) - ord("#") - (c > "?") - (c > "\\") for c in row]
        packed = [high * 71 + low for high, low in zip(digit[0::2], digit[1::2])]
        rows.append([number for p in packed for number in (p // 289 % 17, p // 17 % 17, p % 17)][:65])
    rows = np.array(rows)[shuffled(len(rows), seed)[360:]]
    return rows[:, :64], rows[:, 64]


def idx(path):
    data = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    axes = data[3]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(struct.unpack(f">{axes}I", data[4:4 + 4 * axes]))


def images(folder):
    find = lambda name: next(p for p in sorted(pathlib.Path(folder).iterdir()) if p.name.startswith(name))
    return idx(find("train-images")), idx(find("train-labels"))


def windows(path, length, test_fraction):
    """Those of host/data/characters.cpp: (tokens, the next ones) of the training part and of the test part."""
    text = pathlib.Path(path).read_bytes().decode("utf-8")
    number = {c: i for i, c in enumerate(sorted(set(text)))}
    tokens = np.array([number[c] for c in text])
    rows = (len(tokens) - 1) // length
    x, y = tokens[:rows * length].reshape(rows, length), tokens[1:rows * length + 1].reshape(rows, length)
    kept = rows - max(1, round(test_fraction * rows))
    return (x[:kept], y[:kept]), (x[kept:], y[kept:])


def training_rows(data, seed):
    if data == "digits":
        return digits(seed)
    return images("/usr/share/datasets/fashion-mnist" if data == "fashion-mnist" else data)


def start_of(o, folder):
    """hso's run of one step that moves nothing: its files, and the losses at the start and on the first batch."""
    run = folder + "/start"
    command = [o.hso, "train", "--data", o.data, "--model", o.model, "--seed", str(o.seed), "--batch", str(o.batch or 128),
               "--scaling", o.scaling, "--precision", o.precision, "--loss", o.loss, *(["--reconstruct"] * o.reconstruct),
               "--optimizer", "sgd", "--set", "rate=1e-30", "--steps", "1", "--device", "cpu", "--quiet", "--out", run]
    subprocess.run(command, check=True)
    records = [json.loads(line) for line in pathlib.Path(run, "metrics.jsonl").read_text().splitlines()]
    return pathlib.Path(run), records[0]["train_loss"], records[1]["loss_before"]


def safetensors(path):
    data = path.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    head = json.loads(data[8:8 + size])
    types = {"F32": np.float32, "F64": np.float64}
    view = lambda t: np.frombuffer(data[8 + size:][slice(*t["data_offsets"])], types[t["dtype"]])
    return {name: torch.tensor(view(t).reshape(t["shape"])) for name, t in head.items() if name != "__metadata__"}


class OneHot(torch.nn.Module):
    def __init__(self, count):
        super().__init__()
        self.count = count

    def forward(self, x):
        return torch.nn.functional.one_hot(x, self.count).to(torch.get_default_dtype())


class Positions(torch.nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(*shape))

    def forward(self, x):
        return x + self.weight


class Recurrent(torch.nn.Module):
    """All states of one layer, or the last."""

    def __init__(self, kind, features, layer):
        super().__init__()
        self.states = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](
            features, layer["hidden"], layer.get("layers", 1), batch_first=True)
        self.last = layer.get("last", False)

    def forward(self, x):
        h = self.states(x)[0]
        return h[:, -1] if self.last else h

    def named_parameters(self, *_, **__):
        return self.states.named_parameters()


class Transformer(torch.nn.TransformerEncoderLayer):
    def __init__(self, features, layer):
        super().__init__(features, layer["heads"], layer["hidden"], 0.0, layer.get("activation", "gelu"),
                         batch_first=True, norm_first=True)
        self.causal = layer.get("causal", False)

    def forward(self, x):
        steps = x.shape[1]
        mask = torch.nn.Transformer.generate_square_subsequent_mask(steps) if self.causal else None
        return super().forward(x, src_mask=mask, is_causal=self.causal)


def module_of(layer, shape):
    """The module of a layer of model.toml that gets `weight`s of these shapes."""
    kind = layer["type"]
    if kind == "linear":
        return torch.nn.Linear(*reversed(shape["weight"]), bias="bias" in shape)
    if kind == "conv2d":
        return torch.nn.Conv2d(shape["weight"][1], shape["weight"][0], layer["kernel"], padding=layer.get("padding", 0))
    if kind in ("avgpool2d", "maxpool2d"):
        return (torch.nn.AvgPool2d if kind == "avgpool2d" else torch.nn.MaxPool2d)(layer["kernel"])
    if kind == "embedding":
        return torch.nn.Embedding(*shape["weight"])
    if kind == "one_hot":
        return OneHot(layer["count"])
    if kind == "positions":
        return Positions(*shape["weight"])
    if kind == "layernorm":
        return torch.nn.LayerNorm(shape["weight"])
    if kind in ("rnn", "lstm", "gru"):
        return Recurrent(kind, shape["weight_ih_l0"][1], layer)
    if kind == "transformer":
        return Transformer(shape["norm1.weight"][0], layer)
    return {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid,
            "flatten": torch.nn.Flatten}[kind]()


def network(run):
    import tomllib
    spec = tomllib.loads((run / "model.toml").read_text())
    weights, layers = safetensors(run / "model.safetensors"), []
    for i, layer in enumerate(spec["layer"]):
        own = {name.partition(".")[2]: w for name, w in weights.items() if name.partition(".")[0] == str(i)}
        module = module_of(layer, {name: list(w.shape) for name, w in own.items()})
        for w in list(own.values())[:1]:
            module = module.to(w.dtype)
        for name, parameter in module.named_parameters():
            parameter.data.copy_(own[name])
        layers.append(module)
    return torch.nn.Sequential(*layers), spec["input"]


def optimizer_of(o, parameters):
    options = dict(s.split("=", 1) for s in o.set)
    rate = float(options.get("rate", 1))
    parameters = list(parameters)
    if o.optimizer == "lbfgs":
        return torch.optim.LBFGS(parameters, lr=rate, max_iter=50 if o.target_loss else 5, history_size=10,
                                 tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe")
    make = functools.partial(torch.optim.SGD, momentum=0.9) if o.optimizer == "momentum" else torch.optim.Adam
    try:
        return make(parameters, lr=rate, fused=True)
    except (RuntimeError, TypeError):
        return make(parameters, lr=rate)


class TargetReached(Exception):
    pass


class BudgetSpent(Exception):
    """A step of lbfgs is many evaluations of all rows: the budget ends it between two of them."""


class Training:
    def __init__(self, o, folder):
        self.o = o
        run, at_start, on_batch = start_of(o, folder)
        self.model, shape = network(run)
        self.test = None
        if o.data.startswith("text:"):
            train, test = windows(o.data[5:], shape[0], 0.2)
            self.x, self.y = map(torch.tensor, train)
            self.test = tuple(map(torch.tensor, test))
        else:
            x, y = training_rows(o.data, o.seed)
            scaling = json.loads((run / "standardizer.json").read_text())
            x = (np.asarray(x, np.float64).reshape(len(x), -1) - scaling["mean"]) / scaling["scale"]
            self.x = torch.tensor(x.astype(o.precision)).reshape(len(x), *shape)
            self.y = self.x if o.reconstruct else torch.tensor(np.asarray(y, np.int64))
        self.batch = len(self.y) if o.optimizer == "lbfgs" else o.batch or 128
        self.per_epoch = math.ceil(len(self.y) / self.batch)
        self.epoch, self.order = -1, None
        rows = torch.tensor(epoch_order(len(self.y), o.seed, 0)[:o.batch or 128])
        for found, expected, what in ((self.evaluate()[0], at_start, "at the start"),
                                      (self.loss(rows).item(), on_batch, "on the first batch")):
            if abs(found - expected) > 1e-5 * max(1, abs(expected)):
                sys.exit(f"the loss {what} is {found}, expected that of hso, {expected}")
        own, self.model = self.model, copy.deepcopy(self.model)
        self.evaluations, self.spent = 0, lambda: False
        optimizer_of(argparse.Namespace(**vars(o) | {"target_loss": 0}), self.model.parameters()).step(self.closure(rows))
        self.model = own
        self.optimizer = optimizer_of(o, own.parameters())

    def sum_of_losses(self, z, y):
        if self.o.loss == "bce":
            return torch.nn.functional.binary_cross_entropy_with_logits(z, y.to(z.dtype), reduction="sum")
        if y.dim() == 2:  # the mean over the steps of a sample
            return torch.nn.functional.cross_entropy(z.flatten(0, 1), y.flatten(), reduction="sum") / y.shape[1]
        return torch.nn.functional.cross_entropy(z, y, reduction="sum")

    def loss(self, rows):
        x = self.x[rows]
        return self.sum_of_losses(self.model(x), self.y[rows]) / len(x)

    def evaluate(self, part=None):
        x, y = part or (self.x, self.y)
        loss = hits = 0
        with torch.no_grad():
            for first in range(0, len(y), 4096):
                z, t = self.model(x[first:first + 4096]), y[first:first + 4096]
                loss += self.sum_of_losses(z.double(), t).item()
                hits += 0 if self.o.reconstruct else (z.argmax(-1) == t).sum().item()
        return loss / len(y), hits / (len(y) if self.o.reconstruct else y.numel())

    def rows_of(self, step):
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, torch.tensor(epoch_order(len(self.y), self.o.seed, epoch))
        return self.order[place * self.batch:(place + 1) * self.batch]

    def closure(self, rows):
        whole = isinstance(rows, slice)

        def run():
            self.model.zero_grad()
            loss = self.loss(rows)
            loss.backward()
            self.evaluations += self.batch / len(self.y)
            if whole and self.o.target_loss and loss.item() <= self.o.target_loss:
                raise TargetReached
            if whole and self.spent():
                raise BudgetSpent
            return loss
        return run

    def run(self):
        o, self.evaluations, step, wall, processor, stop = self.o, 0, 0, 0.0, 0.0, ""
        every = o.evaluate_every or (1 if o.optimizer == "lbfgs" else self.per_epoch)
        while not stop:
            rows = slice(None) if o.optimizer == "lbfgs" else self.rows_of(step)
            closure = self.closure(rows)
            began, began_processor = time.perf_counter(), time.process_time()
            self.spent = lambda: (
                o.max_seconds and wall + time.perf_counter() - began > o.max_seconds or
                o.max_processor_seconds and processor + time.process_time() - began_processor > o.max_processor_seconds)
            try:
                self.optimizer.step(closure)
            except TargetReached:
                stop = "target_loss"
            except BudgetSpent:
                stop = "seconds"
            cost, cost_processor = time.perf_counter() - began, time.process_time() - began_processor
            wall, processor, step = wall + cost, processor + cost_processor, step + 1
            over = (o.max_seconds and wall + cost > o.max_seconds or
                    o.max_processor_seconds and processor + cost_processor > o.max_processor_seconds)
            if over and not stop:
                stop = "seconds"
            if step % every and not stop:
                continue
            loss, accuracy = self.evaluate()
            if o.target_loss and loss <= o.target_loss:
                stop = "target_loss"
            if o.target_accuracy and accuracy >= o.target_accuracy:
                stop = "target_accuracy"
            if not math.isfinite(loss):
                stop = "not_finite"
        test_loss, test_accuracy = self.evaluate(self.test) if self.test else (None, None)
        return {"step": step, "test_loss": test_loss, "train_loss": loss if math.isfinite(loss) else None, "train_accuracy": accuracy,
                "test_accuracy": test_accuracy, "seconds": wall, "processor_seconds": processor,
                "gradient_equivalents": self.evaluations, "stop_reason": stop, "torch": torch.__version__}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hso", default="build/quickstart/hso")
    parser.add_argument("--optimizer", choices=["momentum", "adam", "lbfgs"], required=True)
    parser.add_argument("--set", action="append", default=[], help="rate=VALUE")
    parser.add_argument("--data", default="digits", help="digits, fashion-mnist, text:FILE, or a folder of IDX files")
    parser.add_argument("--model", default="mlp:64-32-10:tanh")
    parser.add_argument("--loss", choices=["cross_entropy", "bce"], default="cross_entropy")
    parser.add_argument("--reconstruct", action="store_true")
    parser.add_argument("--scaling", default="unit")
    parser.add_argument("--precision", choices=["float32", "float64"], default="float32")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate-every", type=int, default=0)
    for name in ("target-loss", "target-accuracy", "max-seconds", "max-processor-seconds"):
        parser.add_argument("--" + name, type=float, default=0)
    o = parser.parse_args()
    if not any((o.target_loss, o.target_accuracy, o.max_seconds, o.max_processor_seconds)):
        parser.error("nothing ends the training: expected a target or a budget")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(Training(o, folder).run()))


if __name__ == "__main__":
    main()
