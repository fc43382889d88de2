#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills a training at random moments and resumes it, until it has ended: the run must then be that of a training that
was never stopped, bit for bit.

    python3 tests/checks/kill_resume.py build/quickstart/hso --kills 200

Moments are drawn from the first tenth of a second of every process, where it reads what is there, and from the length
of the whole training. With --seed the draws are the same again; what the process is at by then is not."""
import argparse
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

TRAINING = ["train", "--device", "cpu", "--model", "mlp:64-16-10:tanh", "--epochs", "12", "--checkpoint-every", "5",
            "--keep-last", "2", "--keep-best", "--quiet"]


def environment():
    return dict(os.environ, OMP_NUM_THREADS="1")


def run(hso, words, seconds=None):
    """The exit code; -9 where it was killed after so many seconds."""
    process = subprocess.Popen([hso] + words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        error = process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        error = process.communicate()[1]
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{' '.join(words)}: exit code {process.returncode}: {error.decode()}")
    return process.returncode


def records(folder):
    """metrics.jsonl without what a clock has measured."""
    lines = [json.loads(line) for line in open(os.path.join(folder, "metrics.jsonl"))]
    return [{k: v for k, v in line.items() if k not in ("seconds", "processor_seconds")} for line in lines]


def content(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def tensors_of(data):
    """The names and types of a safetensors file, by its definition: length, JSON, and data without a hole."""
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    end = 0
    for tensor in sorted(header.values(), key=lambda t: t["data_offsets"]):
        if tensor["data_offsets"][0] != end:
            raise SystemExit("a hole in a safetensors file")
        end = tensor["data_offsets"][1]
    if 8 + length + end != len(data):
        raise SystemExit("a safetensors file with bytes that no tensor has")
    return {name: tensor["dtype"] for name, tensor in header.items()}


def check_checkpoints(folder):
    """Every step_N is whole, by its checksums."""
    checkpoints = os.path.join(folder, "checkpoints")
    names = os.listdir(checkpoints) if os.path.isdir(checkpoints) else []
    for name in names:
        if name.endswith(".tmp"):
            continue
        path = os.path.join(checkpoints, name)
        for file, expected in json.loads(content(path, "checkpoint.json"))["files"].items():
            data = content(path, file)
            found = {"bytes": len(data), "crc32": f"{zlib.crc32(data):08x}"}
            if found != expected:
                raise SystemExit(f"{path}/{file}: found {found}, expected {expected}")
            tensors_of(data)


def begun(folder):
    return os.path.exists(os.path.join(folder, "config.toml"))


def kill_and_resume(hso, optimizer, folder, kills, seconds, draw):
    """Kills it `kills` times at most, then lets it end; how often it was killed."""
    start = TRAINING + ["--optimizer", optimizer, "--out", folder]
    killed = 0
    while True:
        words = ["train", "--resume", folder, "--quiet"] if begun(folder) else start + ["--overwrite"]
        limit = draw.choice([draw.uniform(0, 0.1), draw.uniform(0, seconds)]) if killed < kills else None
        if run(hso, words, limit) == 0:
            return killed
        killed += 1
        check_checkpoints(folder)


def compare(optimizer, whole, folder):
    if content(whole, "theta.npy") != content(folder, "theta.npy"):
        raise SystemExit(f"{optimizer}: other parameters than those of the training that was never stopped")
    if records(whole) != records(folder):
        raise SystemExit(f"{optimizer}: other records than those of the training that was never stopped")
    left = [n for n in os.listdir(os.path.join(folder, "checkpoints")) if n.endswith(".tmp")]
    if left:
        raise SystemExit(f"{optimizer}: left over: {left}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hso")
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--optimizers", default="adam,hso.kfac,muon")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    folder = tempfile.mkdtemp(prefix="kill-resume-")
    optimizers, done, rounds = args.optimizers.split(","), 0, 0
    whole = {}
    try:
        while done < args.kills:
            optimizer = optimizers[rounds % len(optimizers)]
            if optimizer not in whole:
                path = os.path.join(folder, "whole-" + optimizer)
                began = time.monotonic()
                run(args.hso, TRAINING + ["--optimizer", optimizer, "--out", path])
                whole[optimizer] = (path, time.monotonic() - began)
            path, seconds = whole[optimizer]
            cut = os.path.join(folder, f"cut-{rounds}")
            done += kill_and_resume(args.hso, optimizer, cut, min(10, args.kills - done), seconds, draw)
            compare(optimizer, path, cut)
            shutil.rmtree(cut)
            rounds += 1
            if rounds > 10 * args.kills:
                raise SystemExit("the trainings end before they can be killed")
        print(f"{done} kills in {rounds} trainings of {', '.join(optimizers[:rounds])}: all ended with the same bits")
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
