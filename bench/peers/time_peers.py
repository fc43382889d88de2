#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times gradients and Hessian-vector products of PyTorch and JAX on the networks of bench/cases.cpp.

    bench/peers/time_peers.py [--device cpu|cuda] [--network NAME ...] [--out peers.json]

What is not installed is skipped with a line on stderr. Gradient and product run alternately, after warm-up (compilation
included), and the median of the pairwise ratios is reported, in the JSON schema of hso_bench. HSO_BENCH_CLOCK=cpu takes
the process' own time, as there. Every product is compared with float64 central differences of the framework's own
gradient along the same direction before it is timed; that of resnet20, whose differences cross kinks of relu, with
forward over reverse in float64.

    torch_eager      double backward: g = grad(loss), Hv = grad(g . v)
    torch_func       forward over reverse: torch.func.jvp of torch.func.grad (functorch before PyTorch 2)
    torch_compiled   torch_func under torch.compile (PyTorch 2)
    jax              forward over reverse: jvp of grad, under jit
"""
import argparse
import datetime
import importlib
import json
import os
import platform
import sys
import time

import numpy as np

MLPS = {"784-300-100-10": ((784, 300, 100, 10), 1024),
        "784-1024-512-256-128-64-10": ((784, 1024, 512, 256, 128, 64, 10), 512),
        "8x512": ((512,) * 9, 1024),
        "64-32-10": ((64, 32, 10), 1437)}
CONVS = {"lenet5": (((6, 1, 5, 5), 2), ((16, 6, 5, 5), 0))}
LSTMS = {"lstm-100x64-256": (100, 64, 256, 10, 64)}  # steps, features, hidden, outputs, batch
LENET_TAIL, LENET_BATCH = (400, 120, 84, 10), 256
RESNETS = {"resnet20": 32}  # the batch; convolutions of He et al. 2016 over [1, 28, 28], in order: channels and stride
RESNET_CONVS = [(16, 1)] + [(width, 2 if i == 0 and width > 16 else 1) for width in (16, 32, 64) for i in range(6)]


class Net:
    """Parameters as a list of arrays, inputs and labels: the same numbers for every framework."""

    def __init__(self, name):
        self.name, self.rng, self.convs = name, np.random.default_rng(0), CONVS.get(name, ())
        self.lstm = LSTMS.get(name)
        self.resnet = name in RESNETS
        if self.lstm:
            return self.recurrent(*self.lstm)
        if self.resnet:
            return self.residual(RESNETS[name])
        widths, batch = MLPS.get(name, (LENET_TAIL, LENET_BATCH))
        self.shapes = [shape for shape, _ in self.convs] + list(zip(widths[1:], widths[:-1]))
        inputs = (batch, 1, 28, 28) if self.convs else (batch, widths[0])
        self.x = self.rng.standard_normal(inputs)
        self.y = self.rng.integers(0, widths[-1], batch)
        self.theta = [p for shape in self.shapes for p in (self.glorot(shape), np.zeros(shape[0]))]
        self.v = [self.rng.standard_normal(p.shape) for p in self.theta]
        self.work()

    def recurrent(self, steps, features, hidden, outputs, batch):
        """theta in the order of torch.nn.LSTM(batch_first=True) and a linear layer on the last state."""
        self.x, self.y = self.rng.standard_normal((batch, steps, features)), self.rng.integers(0, outputs, batch)
        rows, limit = 4 * hidden, hidden ** -0.5
        shapes = [(rows, features), (rows, hidden), (rows,), (rows,), (outputs, hidden), (outputs,)]
        self.theta = [self.rng.uniform(-limit, limit, shape) for shape in shapes]
        self.v = [self.rng.standard_normal(p.shape) for p in self.theta]
        self.s1 = batch * steps * rows * features
        self.S = self.s1 + batch * (steps * rows * hidden + hidden * outputs)

    def residual(self, batch):
        """theta: each convolution's weight, then scale and shift of its batch norm; a linear layer at the end."""
        self.x, self.y = self.rng.standard_normal((batch, 1, 28, 28)), self.rng.integers(0, 10, batch)
        self.theta, channels, pixels, self.S = [], 1, 28, 0
        for width, stride in RESNET_CONVS:
            pixels //= stride
            self.theta += [self.glorot((width, channels, 3, 3)), np.ones(width), np.zeros(width)]
            self.S += batch * width * channels * 9 * pixels**2
            self.s1 = self.S if channels == 1 else self.s1
            channels = width
        self.theta += [self.glorot((10, channels)), np.zeros(10)]
        self.S += batch * 10 * channels
        self.v = [self.rng.standard_normal(p.shape) for p in self.theta]

    def glorot(self, shape):
        taps = int(np.prod(shape[2:], initial=1))
        limit = np.sqrt(6 / ((shape[0] + shape[1]) * taps))
        return self.rng.uniform(-limit, limit, shape)

    def work(self):
        """Multiply-adds: S one forward pass, s1 its first layer."""
        pixels = [28 * 28, 10 * 10] if self.convs else []
        positions = pixels + [1] * (len(self.shapes) - len(pixels))
        layers = [int(np.prod(s)) * p * len(self.x) for s, p in zip(self.shapes, positions)]
        self.S, self.s1 = sum(layers), layers[0]


def differences(gradient, theta, v):
    """Central differences of a float64 gradient along v."""
    size = lambda arrays: np.sqrt(sum(float((a * a).sum()) for a in arrays))
    h = 6e-6 * (1 + size(theta)) / size(v)
    plus = gradient([t + h * d for t, d in zip(theta, v)])
    minus = gradient([t - h * d for t, d in zip(theta, v)])
    return [(p - m) / (2 * h) for p, m in zip(plus, minus)]


def distance(a, b):
    top = sum(float(((np.asarray(x, dtype=np.float64) - y) ** 2).sum()) for x, y in zip(a, b))
    return float(np.sqrt(top / sum(float((y * y).sum()) for y in b)))


class Torch:
    """Builds gradient() and product() of one network for one of the torch_* methods."""

    def __init__(self, net, device, method):
        self.torch = torch = importlib.import_module("torch")
        self.functions = importlib.import_module("torch.func" if hasattr(torch, "func") else "functorch")
        self.net, self.device, self.method = net, device, method
        if device == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        self.y = torch.tensor(net.y, device=device)
        self.x, self.theta, self.v = self.tensors(torch.float32)
        self.functional = self.functions.grad(lambda theta: self.loss(theta, self.x))
        self.hvp = lambda theta, v: self.functions.jvp(self.functional, (theta,), (v,))[1]
        if method == "torch_compiled":
            self.functional, self.hvp = torch.compile(self.functional), torch.compile(self.hvp)

    def tensors(self, dtype):
        make = lambda a: self.torch.tensor(a, dtype=dtype, device=self.device)
        return make(self.net.x), [make(p) for p in self.net.theta], [make(p) for p in self.net.v]

    def logits(self, theta, x):
        f = self.torch.nn.functional
        if self.net.lstm:
            start = self.torch.zeros(1, len(x), theta[1].shape[1], dtype=x.dtype, device=x.device)
            states = self.torch._VF.lstm(x, (start, start), theta[:4], True, 1, 0.0, False, False, True)[0]
            return f.linear(states[:, -1], *theta[4:])
        if self.net.resnet:
            return self.residual(theta, x)
        pairs = list(zip(theta[::2], theta[1::2]))
        for (w, b), (_, pad) in zip(pairs, self.net.convs):
            x = f.avg_pool2d(f.conv2d(x, w, b, padding=pad).tanh(), 2)
        x = x.flatten(1)
        for i, (w, b) in enumerate(pairs[len(self.net.convs):]):
            x = f.linear(x.tanh() if i > 0 else x, w, b)
        return x

    def residual(self, theta, x):
        f = self.torch.nn.functional
        layers = zip(zip(theta[:-2:3], theta[1:-2:3], theta[2:-2:3]), RESNET_CONVS)

        def normalized(x):
            (w, scale, shift), (_, stride) = next(layers)
            return f.batch_norm(f.conv2d(x, w, stride=stride, padding=1), None, None, scale, shift, training=True)

        x = normalized(x).relu()
        for _ in range(9):
            y = normalized(normalized(x).relu())
            if y.shape != x.shape:
                more = (y.shape[1] - x.shape[1]) // 2
                x = f.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more, more))
            x = (x + y).relu()
        return f.linear(x.mean((2, 3)), *theta[-2:])

    def loss(self, theta, x):
        x = self.logits(theta, x)
        # f.cross_entropy has no forward-over-reverse rule in some versions.
        return (x.logsumexp(1) - x.gather(1, self.y[:, None]).squeeze(1)).mean()

    def eager_gradient(self, theta, x, graph=False):
        leaves = [t.detach().requires_grad_(True) for t in theta]
        return leaves, self.torch.autograd.grad(self.loss(leaves, x), leaves, create_graph=graph)

    def gradient(self):
        if self.method == "torch_eager":
            return self.eager_gradient(self.theta, self.x)[1]
        return self.functional(self.theta)

    def product(self):
        if self.method != "torch_eager":
            return self.hvp(self.theta, self.v)
        leaves, g = self.eager_gradient(self.theta, self.x, graph=True)
        return self.torch.autograd.grad(g, leaves, self.v)

    def exact(self):
        x, _, _ = self.tensors(self.torch.float64)
        double = lambda a: self.torch.tensor(a, dtype=self.torch.float64, device=self.device)
        if self.net.resnet:
            theta, v = ([double(a) for a in arrays] for arrays in (self.net.theta, self.net.v))
            gradient = self.functions.grad(lambda t: self.loss(t, x))
            return self.numbers(self.functions.jvp(gradient, (theta,), (v,))[1])
        gradient = lambda theta: [g.cpu().numpy() for g in self.eager_gradient([double(t) for t in theta], x)[1]]
        return differences(gradient, self.net.theta, self.net.v)

    def numbers(self, arrays):
        return [a.detach().cpu().numpy() for a in arrays]

    def wait(self, _):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def version(self):
        return f"PyTorch {self.torch.__version__}"


class Jax:
    def __init__(self, net, device, _):
        self.jax = jax = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_default_matmul_precision", "highest")
        self.device = jax.devices("gpu" if device == "cuda" else "cpu")[0]
        self.net = net
        x, theta, v = self.arrays(np.float32)
        gradient = jax.jit(jax.grad(self.loss))
        product = jax.jit(lambda t, d, a: jax.jvp(lambda s: jax.grad(self.loss)(s, a), (t,), (d,))[1])
        self.gradient, self.product = (lambda: gradient(theta, x)), (lambda: product(theta, v, x))

    def arrays(self, dtype):
        put = lambda a: self.jax.device_put(np.asarray(a, dtype=dtype), self.device)
        return put(self.net.x), [put(p) for p in self.net.theta], [put(p) for p in self.net.v]

    def logits(self, theta, x):
        jax, jnp = self.jax, self.jax.numpy
        if self.net.lstm:
            return self.lstm(theta, x)
        if self.net.resnet:
            raise NotImplementedError("resnet20 is written for PyTorch alone")
        pairs = list(zip(theta[::2], theta[1::2]))
        for (w, b), (_, pad) in zip(pairs, self.net.convs):
            x = jnp.tanh(jax.lax.conv_general_dilated(x, w, (1, 1), [(pad, pad)] * 2) + b[None, :, None, None])
            n, c, h, width = x.shape
            x = x.reshape(n, c, h // 2, 2, width // 2, 2).mean((3, 5))
        x = x.reshape(x.shape[0], -1)
        for i, (w, b) in enumerate(pairs[len(self.net.convs):]):
            x = (jnp.tanh(x) if i > 0 else x) @ w.T + b
        return x

    def lstm(self, theta, x):
        jax, jnp = self.jax, self.jax.numpy
        w_ih, w_hh, b_ih, b_hh, w, b = theta

        def step(state, a):
            h, c = state
            i, f, g, o = jnp.split(a + h @ w_hh.T + b_hh, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        start = jnp.zeros((x.shape[0], w_hh.shape[1]), x.dtype)
        (h, _), _ = jax.lax.scan(step, (start, start), jnp.swapaxes(x @ w_ih.T + b_ih, 0, 1))
        return h @ w.T + b

    def loss(self, theta, x):
        jax, jnp = self.jax, self.jax.numpy
        x = self.logits(theta, x)
        rows = jnp.arange(x.shape[0])
        return -jax.nn.log_softmax(x)[rows, self.net.y].mean()

    def exact(self):
        x, _, _ = self.arrays(np.float64)
        gradient = self.jax.jit(self.jax.grad(self.loss))
        return differences(lambda t: [np.asarray(g) for g in gradient(t, x)], self.net.theta, self.net.v)

    def numbers(self, arrays):
        return [np.asarray(a) for a in arrays]

    def wait(self, value):
        self.jax.block_until_ready(value)

    def version(self):
        return f"JAX {self.jax.__version__}"


METHODS = {"torch_eager": Torch, "torch_func": Torch, "torch_compiled": Torch, "jax": Jax}


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(": ", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


CLOCK = time.process_time if os.environ.get("HSO_BENCH_CLOCK") == "cpu" else time.perf_counter


def seconds(peer, call):
    start = CLOCK()
    peer.wait(call())
    return CLOCK() - start


def measure(peer, rounds, budget):
    for _ in range(3):
        seconds(peer, peer.gradient), seconds(peer, peer.product)
    start, pairs = time.perf_counter(), []
    while len(pairs) < rounds and (len(pairs) < 3 or time.perf_counter() - start < budget):
        pairs.append((seconds(peer, peer.gradient), seconds(peer, peer.product)))
    return np.array(pairs)


def entry(name, net, pairs, column, error):
    own, gradient = pairs[:, column], pairs[:, 0]
    ratio = float(np.median(own / gradient))
    floor = 1.0 if column == 0 else (8 * net.S - 5 * net.s1) / (3 * net.S - net.s1)
    low, high = np.quantile(own, [0.25, 0.75])
    milliseconds = float(np.median(own)) * 1e3
    return {"name": name, "run_type": "iteration", "iterations": 1, "real_time": milliseconds, "cpu_time": milliseconds,
            "time_unit": "ms", "gradient_seconds": float(np.median(gradient)), "in_gradients": ratio, "floor": floor,
            "over_floor": ratio / floor, "rounds": len(pairs), "spread": float((high - low) / np.median(own)),
            "error": error}


def run(method, name, options):
    net = Net(name)
    peer = METHODS[method](net, options.device, method)
    error = distance(peer.numbers(peer.product()), peer.exact())
    if not error < 1e-3:
        raise ArithmeticError(f"product is {error:.1e} from float64 differences")
    pairs = measure(peer, options.rounds, options.budget)
    print(f"{method:15} {name:28} gradient {np.median(pairs[:, 0]) * 1e3:9.3f} ms, product / gradient "
          f"{np.median(pairs[:, 1] / pairs[:, 0]):.2f}", file=sys.stderr)
    rows = [entry(f"{method}_{what}/{name}/float32", net, pairs, column, error)
            for column, what in enumerate(("gradient", "hvp_fresh"))]
    return peer.version(), rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--network", nargs="+", choices=[*MLPS, *CONVS, *RESNETS, *LSTMS],
                        default=[*MLPS, *CONVS, *RESNETS, *LSTMS])
    parser.add_argument("--method", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--budget", type=float, default=6, help="seconds after which no new round starts")
    parser.add_argument("--out", help="JSON file; stdout without it")
    options = parser.parse_args()
    rows, versions = [], []
    for method in options.method:
        for name in options.network:
            try:
                version, found = run(method, name, options)
            except (ImportError, AttributeError) as missing:  # not installed, or too old for the method
                print(f"{method}: skipped ({missing})", file=sys.stderr)
                break
            except Exception as failure:  # a peer that fails says so in the results and does not stop the others
                print(f"{method} {name}: failed: {failure}", file=sys.stderr)
                rows.append({"name": f"{method}_hvp_fresh/{name}/float32", "error_occurred": True,
                             "error_message": str(failure).splitlines()[0]})
                continue
            versions += [version] if version not in versions else []
            rows += found
    context = {"framework": "peers", "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
               "clock": "processor time" if CLOCK is time.process_time else "wall time",
               "device": options.device, "device_description": f"{options.device} of {processor()}",
               "libraries": "; ".join(versions), "num_cpus": os.cpu_count(), "load_avg": os.getloadavg()}
    text = json.dumps({"context": context, "benchmarks": rows}, indent=1)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
