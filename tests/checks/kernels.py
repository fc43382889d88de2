#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the compiler can prove about the kernels of cuda/, from their machine code.

    kernels.py [--json FILE] [--tools DIR ...] OBJECT...

Each OBJECT is an object file with the kernels of one or more architectures. Every kernel must

  * use no local memory (registers do not spill),
  * have parameters below 4 KB,
  * leave room for half of a multiprocessor's threads at the block size of its launch bounds,
  * do no arithmetic in double, when it works in float,

and every kernel of for_each (cuda/element_kernels.cuh) in addition

  * divide no 64-bit integers,
  * move its packs in accesses of 16 bytes.

Exceptions are listed below with their reasons; one that no kernel of any architecture needs is an
error too. --json writes a table: for
each kernel registers, bytes of parameters, instructions from its entry to its first store to global memory, and
instructions for each element. Exit status: 0 all hold, 1 some do not, 77 cuobjdump or nvdisasm is missing.
For every architecture, and to renew bench/results/kernels.json:

    cmake --preset release && cmake --build build/release --target hso_cuda_objects
    python3 tests/checks/kernels.py --json bench/results/kernels.json \\
        build/release/CMakeFiles/hso_cuda_objects.dir/cuda/*.cu.o
"""
import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# CUDA C++ Programming Guide, "Technical specifications per compute capability": registers and threads of a
# multiprocessor. Registers go to warps in units of 256.
REGISTERS, UNIT = 65536, 256
THREADS = {75: 1024, 80: 2048, 86: 1536, 89: 1536, 90: 2048, 100: 2048, 103: 2048, 120: 1536}

# Reasons for exceptions, by pattern of the kernel's name.
LOCAL_MEMORY = {
    r"<(double|float), hso::detail::(Sin|Cos)>": "CUDA's sin and cos reduce huge arguments digit by digit, in an array",
    r"AvgPoolValue<double>": "sm_120: a value lies on the stack while CUDA's slow path of a division runs",
    r"ActivationAfterBias<double, hso::detail::Log>": "the same, in the derivative 1 / x",
    r"ActivationAfterBias<float, hso::detail::Sqrt>": "sm_80: the same, in the derivative 1 / (2 sqrt(x))",
}
# A thread for each right-hand side or for each number of a step: a few threads decide for the whole vector.
FEW_THREADS = {
    r"<hso::detail::(KrylovStart|Cg(Start|Length|Turn)|Minres(Start|Subtract|Rotate))<": "scalars of linear solvers",
    r"<hso::detail::ModelCg(Start|Length|Turn)<": "scalars of conjugate gradients on a model",
    r"<hso::detail::LbfgsCoefficients<": "coefficients of an inverse that a few pairs make",
    r"<hso::detail::(CheckFinite|CombineNumbers|KeepRecord|NormFactor|TrustFactor)<": "numbers of a queued step",
}
DOUBLE_IN_FLOAT = {
    r"<float, hso::detail::(Sin|Cos)>": "the same reduction ends in a product in double",
    r"RandomFill<float>|DropoutMask<float>|Sample(Class|Normal|Bernoulli)<float>":
        "random numbers are made in double, so that every backend rounds alike",
    r"RandomFillAt<float>": "the same with a stream from device memory",
    r"(AdamStepAt|ScaleBy)<float>": "coefficients of a queued step lie in device memory as doubles and are converted",
    r"Convert<(float, double|double, float)>": "converts from or to double",
    r"(Products|SquaresAndMagnitudes|AbsoluteValues)<float>": "dot products and norms accumulate in double",
    r"RecurrenceSquares<float>": "so do the squares of what a recurrence writes",
    r"(FactorPanel|ProbeAlpha|ProbeBeta)<float>": "the coefficients of a recurrence, a few numbers a step, are doubles",
    r"(Magnitude|Gradient|Curvature)Score<float>|SpreadScores<float>": "scores of pruning are doubles",
    r"combine_kernel<hso::detail::Partial(Sums|Norms)>": "the second pass of the same, in double alone",
}
NARROW_LOADS = {  # of kernels that take packs, and how many
    r"(ScaleRows|AddToColumns|AddToChannels)<": (1, "a number for the whole row"),
    r"(DivideRows|SoftmaxFirst|SpreadOverPositions)<": (1, "a number for the whole row"),
    r"SoftmaxSecond<": (2, "two numbers for the whole row"),
    r"(RowDeviation|RowShares|RunningStatistic)<": (1, "a number for the whole row"),
    r"OutputLoss(Vjp|Cross|CrossAfterBias)<": (1, "the seed of a sample"),
    r"CenteredSquare<": (1, "the sum of a row"),
    r"NormValue<": (2, "the sum of a row and its deviation"),
    r"NormFirst<": (3, "these and a product"),
    r"NormSecond<": (5, "these and what cross adds"),
    r"ScaleChannels<": (2, "scale and shift of a channel"),
    r"LaneAxpby<": (2, "the factors of a lane"),
    r"LaneRecurrence<": (3, "the factors of a lane"),
    r"Keep<": (4, "a byte of the mask for each element"),
    r"Convert<double, float>": (2, "two floats for two doubles"),
}


def find_tools(folders):
    """cuobjdump and nvdisasm: from the folders, from PyPI (build/lint), or on the path."""
    folders = [*folders, *ROOT.glob("build/lint/lib/python*/site-packages/nvidia/*/bin")]
    os.environ["PATH"] = os.pathsep.join([str(f) for f in folders] + [os.environ.get("PATH", "")])
    missing = [tool for tool in ("cuobjdump", "nvdisasm", "c++filt") if shutil.which(tool) is None]
    if missing:
        print(f"skipped: {', '.join(missing)} not found (./quickstart test installs nvidia-cuda-cuobjdump and "
              "nvidia-cuda-nvdisasm into build/lint)")
        sys.exit(77)


def run(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def read_code(text, kernels):
    """The instructions of each kernel: kernels[architecture, name]."""
    architecture, instructions = None, None
    for line in text.splitlines():
        if match := re.match(r"\s*code for sm_(\d+)", line):
            architecture = int(match[1])
        elif match := re.match(r"\s*Function : (\S+)", line):
            instructions = kernels[architecture, match[1]]["instructions"]
        elif match := re.match(r"\s*/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;", line):
            instructions.append((int(match[1], 16), match[2]))


def read_resources(text, kernels):
    """Registers and stack as the assembler states them."""
    architecture = name = None
    for line in text.splitlines():
        if match := re.match(r"arch = sm_(\d+)", line):
            architecture = int(match[1])
        elif match := re.match(r"\s*Function (\S+):", line):
            name = match[1]
        elif match := re.search(r"REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", line):
            kernels[architecture, name].update(
                registers=int(match[1]), local_bytes=int(match[2]) + int(match[3]))


def read_attributes(text, kernels):
    """Launch bounds and bytes of parameters."""
    architecture = kernel = attribute = None
    for line in text.splitlines():
        if match := re.match(r"arch = sm_(\d+)", line):
            architecture = int(match[1])
        elif match := re.match(r"\.nv\.info\.(\S+)", line):
            kernel = kernels[architecture, match[1]]
        elif match := re.match(r"\s*Attribute:\s+(\S+)", line):
            attribute = match[1]
        elif match := re.match(r"\s*Value:\s+(0x[0-9a-f]+)", line):
            if attribute == "EIATTR_MAX_THREADS":
                kernel["threads"] = int(match[1], 16)
            elif attribute == "EIATTR_CBANK_PARAM_SIZE":
                kernel["parameter_bytes"] = int(match[1], 16)


def read_objects(paths, architecture):
    """The kernels of this project (not those of libraries), by architecture and name."""
    only = [] if architecture is None else ["-arch", f"sm_{architecture}"]
    kernels = collections.defaultdict(lambda: {"instructions": []})
    for path in paths:
        read_code(run("cuobjdump", *only, "-sass", path), kernels)
        read_resources(run("cuobjdump", *only, "-res-usage", path), kernels)
        read_attributes(run("cuobjdump", *only, "-elf", path), kernels)
    names = sorted({name for _, name in kernels})
    plain = run("c++filt", text="\n".join(names)).splitlines()
    shown = {name: re.sub(r"\(anonymous namespace\)::|^void ", "", full).split("(")[0]
             for name, full in zip(names, plain)}
    return {(architecture, shown[name]): {**kernel, "name": shown[name]} for (architecture, name), kernel
            in kernels.items() if kernel["instructions"] and shown[name].startswith("hso::")}


MNEMONIC = r"^(?:@!?U?P\w+ )?"
DOUBLE = re.compile(MNEMONIC + r"(D(ADD|MUL|FMA|SETP|MNMX)\b|\w+\.(\w+\.)*F64\b|MUFU\.\w+64H)")
STORE = re.compile(MNEMONIC + r"ST(G)?\.")
LOAD = re.compile(MNEMONIC + r"LD(G)?\.")
DIVISION_64 = re.compile(MNEMONIC + r"I2F\.U64\.RP\b")  # the reciprocal that every 64-bit division starts from
LOCAL = re.compile(MNEMONIC + r"(LDL|STL)\b")
WIDE = re.compile(r"\.(128|256)\b")


def successors(code):
    """Where each instruction may go on, as positions; calls return."""
    place = {address: i for i, (address, _) in enumerate(code)}
    edges = []
    for i, (_, text) in enumerate(code):
        always = not text.startswith("@")
        operation = re.sub(MNEMONIC, "", text)
        to = []
        if match := re.match(r"BRA\b.*?(0x[0-9a-f]+)$", operation):
            to.append(place.get(int(match[1], 16)))
            always = always and not re.search(r"\bU?P\d", operation)  # BRA P1, target
        if not (always and re.match(r"(BRA|EXIT|RET)\b", operation)):
            to.append(i + 1 if i + 1 < len(code) else None)
        edges.append([j for j in to if j is not None])
    return edges


def distances(edges, starts):
    """The least number of steps from one of the starts."""
    steps = {i: 0 for i in starts}
    queue = collections.deque(starts)
    while queue:
        i = queue.popleft()
        for j in edges[i]:
            if j not in steps:
                steps[j] = steps[i] + 1
                queue.append(j)
    return steps


def look_at_code(kernel):
    code = kernel.pop("instructions")
    texts = [text for _, text in code]
    edges = successors(code)
    backwards = [[] for _ in code]
    for i, targets in enumerate(edges):
        for j in targets:
            backwards[j].append(i)
    match = re.search(r"for_each_kernel<.*, (\d+)>$", kernel["name"])
    kernel["elements"] = int(match[1]) if match else None
    packs = bool(match) and kernel["elements"] > 1
    stores = [i for i, text in enumerate(texts) if STORE.match(text) and (not packs or WIDE.search(text))]
    from_entry = distances(edges, [0])
    ends = [i for i, text in enumerate(texts) if re.sub(MNEMONIC, "", text).startswith("EXIT")]
    to_end = distances(backwards, ends)
    to_store = distances(backwards, stores)
    on_the_way = [i for i in from_entry if i in to_store]
    kernel["double"] = sum(bool(DOUBLE.match(text)) for text in texts)
    kernel["divisions_64"] = sum(bool(DIVISION_64.match(text)) for text in texts)
    kernel["local"] = sum(bool(LOCAL.match(text)) for text in texts)
    kernel["to_first_store"] = min((from_entry[i] + 1 for i in stores if i in from_entry), default=None)
    whole = min((from_entry[i] + to_end[i] + 1 for i in stores if i in from_entry and i in to_end), default=None)
    kernel["each_element"] = round(whole / kernel["elements"], 1) if match and whole else None
    kernel["narrow_loads"] = sum(bool(LOAD.match(texts[i])) and not WIDE.search(texts[i]) for i in on_the_way)
    kernel["narrow_stores"] = sum(bool(STORE.match(texts[i])) and not WIDE.search(texts[i]) for i in on_the_way)


def occupancy(architecture, kernel):
    """Threads that fit on a multiprocessor, of those that it holds. Each of its four parts has a quarter of them."""
    warps = kernel["threads"] // 32
    each_warp = -(-kernel["registers"] * 32 // UNIT) * UNIT
    fitting = REGISTERS // 4 // each_warp * 4
    most = THREADS[architecture] // 32
    return min(fitting, most) // warps * warps / most


class Rules:
    """What must hold, and which exceptions were needed."""

    def __init__(self):
        self.broken, self.needed = [], set()

    def excused(self, exceptions, name):
        for pattern, reason in exceptions.items():
            if re.search(pattern, name):
                self.needed.add(pattern)
                return reason
        return None

    def look_at(self, architecture, name, k):
        def require(holds, complaint):
            if not holds:
                self.broken.append(f"sm_{architecture} {name}: {complaint}")

        if k["local"] or k["local_bytes"]:
            require(self.excused(LOCAL_MEMORY, name), f"{k['local_bytes']} bytes of local memory")
        require(k["parameter_bytes"] < 4096, f"{k['parameter_bytes']} bytes of parameters")
        if k["occupancy"] < 0.5:
            require(self.excused(FEW_THREADS, name), f"{k['registers']} registers: an occupancy of {k['occupancy']:.2f}")
        if k["double"] and not re.search(r"\bdouble\b", name.replace("Convert<float, double>", "")):
            excused = self.excused(DOUBLE_IN_FLOAT, name) or self.excused(FEW_THREADS, name)
            require(excused, f"{k['double']} instructions in double")
        if k["elements"] is None:
            return
        if k["divisions_64"]:
            require(self.excused(FEW_THREADS, name), f"{k['divisions_64']} divisions of 64-bit integers")
        require(k["to_first_store"], "no store" if k["elements"] == 1 else "no store of 16 bytes")
        if k["elements"] > 1:
            require(not k["narrow_stores"], f"{k['narrow_stores']} stores of less than 16 bytes")
            most = self.excused(NARROW_LOADS, name) if k["narrow_loads"] else None
            require(k["narrow_loads"] <= (most[0] if most else 0), f"{k['narrow_loads']} loads of less than 16 bytes")

    def unneeded(self):
        tables = (LOCAL_MEMORY, FEW_THREADS, DOUBLE_IN_FLOAT, NARROW_LOADS)
        return [pattern for table in tables for pattern in table if pattern not in self.needed]


SHOWN = ("registers", "parameter_bytes", "occupancy", "to_first_store", "each_element", "divisions_64", "local_bytes")


def table(kernels, architectures):
    """One line a kernel: for each quantity a number for each architecture, or a single one where they agree."""
    def entry(name):
        of = [kernels[a, name] for a in architectures if (a, name) in kernels]
        columns = {key: [k[key] for k in of] for key in SHOWN}
        return {key: c[0] if len(set(c)) == 1 else c for key, c in columns.items()}

    return {name.replace("hso::detail::", ""): entry(name) for name in sorted({name for _, name in kernels})}


def write_table(path, kernels, architectures):
    commit = run("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD").strip()
    head = {"compiler": run("nvcc", "--version").strip().splitlines()[-1], "commit": commit,
            "architectures": architectures}
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in table(kernels, architectures).items()]
    text = json.dumps(head)[:-1] + ', "kernels": {\n' + ",\n".join(lines) + "\n}}\n"
    json.loads(text)
    pathlib.Path(path).write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write a table")
    parser.add_argument("--tools", action="append", default=[], metavar="DIR", help="where cuobjdump may be")
    parser.add_argument("--architecture", type=int, metavar="N", help="look at sm_N alone")
    parser.add_argument("objects", nargs="+", metavar="OBJECT")
    options = parser.parse_args()
    find_tools(options.tools)
    kernels = read_objects(options.objects, options.architecture)
    if not kernels:
        print(f"skipped: no kernels for sm_{options.architecture}")
        sys.exit(77)
    rules = Rules()
    for (architecture, name), kernel in sorted(kernels.items()):
        look_at_code(kernel)
        kernel["occupancy"] = round(occupancy(architecture, kernel), 3)
        rules.look_at(architecture, name, kernel)
    architectures = sorted({architecture for architecture, _ in kernels})
    if options.json:
        write_table(options.json, kernels, architectures)
    for complaint in rules.broken:
        print(complaint)
    unneeded = [] if options.architecture else rules.unneeded()
    for pattern in unneeded:
        print(f"the exception {pattern} is not needed")
    print(f"{len(kernels)} kernels for sm_{', sm_'.join(map(str, architectures))}: {len(rules.broken)} rules broken")
    sys.exit(1 if rules.broken or unneeded else 0)


if __name__ == "__main__":
    main()
