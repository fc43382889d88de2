#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page and the event files of `hso report`, as their readers see them.

    report.py browser PROGRAM        the page in a headless Chromium: what it parses, and pixels in light and dark
    report.py tensorboard PROGRAM    event files by TensorBoard's own reader, against metrics.jsonl

Exits with 77 where the browser, or the Python package tensorboard, is not there.
"""
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

SKIPPED = 77
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome"]
# Ground and first curve of the two themes (host/io/chart.cpp).
THEMES = {"light": ((0xFF, 0xFF, 0xFF), (0x0B, 0x63, 0xB5)), "dark": ((0x15, 0x18, 0x1C), (0x62, 0xAE, 0xFB))}


def hso(program, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([program, *map(str, arguments)], check=True, env=environment, stderr=subprocess.DEVNULL)


def make_runs(program, folder):
    """Two short trainings on the digits, the first with spectra, and a pruning of it."""
    runs = [folder / name for name in ("kfac", "adam", "pruned")]
    common = ["--device", "cpu", "--quiet"]
    hso(program, "train", "--optimizer", "hso.kfac", "--steps", 4, "--spectrum-every", 2, "--out", runs[0], *common)
    hso(program, "train", "--optimizer", "adam", "--epochs", 2, "--evaluate-every", 6, "--out", runs[1], *common)
    hso(program, "prune", "--checkpoint", runs[0], "--score", "obd", "--sparsity", 0.5, "--finetune", 1,
        "--out", runs[2], *common)
    return runs


def pixels(path):
    """Rows of (r, g, b) of a PNG as Chromium writes it: 8 bits, RGB or RGBA, not interlaced."""
    data = path.read_bytes()
    at, packed = 8, b""
    while at < len(data):
        size, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
            depth = {2: 3, 6: 4}[body[9]]
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    raw, stride = zlib.decompress(packed), width * depth
    rows, above = [], bytearray(stride)
    for y in range(height):
        begin = y * (stride + 1)
        row, method = bytearray(raw[begin + 1:begin + 1 + stride]), raw[begin]
        for i in range(stride):
            left = row[i - depth] if i >= depth else 0
            up, corner = above[i], above[i - depth] if i >= depth else 0
            if method == 4:
                guess = left + up - corner
                pick = min((left, up, corner), key=lambda v: abs(guess - v))
            row[i] = row[i] + (0, left, up, (left + up) // 2, pick if method == 4 else 0)[method] & 255
        rows.append([tuple(row[i:i + 3]) for i in range(0, stride, depth)])
        above = row
    return rows


def browse(browser, folder, page, *arguments):
    """What the browser prints, with a profile of its own and no network."""
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               f"--user-data-dir={folder / 'profile'}", "--proxy-server=127.0.0.1:9", *arguments, page.as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    return done.stdout, done.stderr


def check_browser(program, folder):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("skipped: no Chromium here")
        return SKIPPED
    page = folder / "report.html"
    hso(program, "report", *make_runs(program, folder), "--out", page)
    written, faults = page.read_text(encoding="utf-8"), []
    parsed, log = browse(browser, folder, page, "--dump-dom", "--enable-logging=stderr")
    for element in ("section", "figure", "svg", "polyline", "table", "td", "details"):
        counts = [len(re.findall(rf"<{element}\b", text)) for text in (written, parsed)]
        if counts[0] != counts[1] or counts[0] == 0:
            faults.append(f"<{element}>: {counts[0]} written, {counts[1]} parsed")
    faults += [line for line in log.splitlines() if "CONSOLE" in line]
    for theme, (ground, curve) in THEMES.items():
        picture = folder / f"{theme}.png"
        browse(browser, folder, page, f"--screenshot={picture}", "--window-size=1000,1100",
               f"--blink-settings=preferredColorScheme={int(theme == 'light')}")
        rows = pixels(picture)
        if rows[2][2] != ground:
            faults.append(f"{theme}: the ground is {rows[2][2]}, expected {ground}")
        drawn = sum(row.count(curve) for row in rows)
        if drawn < 200:
            faults.append(f"{theme}: {drawn} pixels of the first curve's colour {curve}")
    print("\n".join(faults) or f"{len(written)} bytes, as written")
    return 1 if faults else 0


def check_tensorboard(program, folder):
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        print("skipped: the Python package tensorboard is not installed")
        return SKIPPED
    runs = make_runs(program, folder)[:2]
    hso(program, "report", *runs, "--tensorboard", folder / "events")
    faults, compared = [], 0
    for run in runs:
        started = json.loads((run / "env.json").read_text(encoding="utf-8"))["time"]
        events = EventAccumulator(str(folder / "events" / run.name), size_guidance={"scalars": 0})
        events.Reload()
        tags = set(events.Tags()["scalars"])
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        for key, tag in [("train_loss", "loss/train"), ("test_accuracy", "accuracy/test"), ("seconds", "cost/seconds"),
                         ("gradient_norm", "method/gradient_norm"), ("delta", "method/delta")]:
            expected = [(line["step"], line[key], line["seconds"]) for line in lines if line.get(key) is not None]
            found = events.Scalars(tag) if tag in tags else []
            compared += len(found)
            if len(found) != len(expected):
                faults.append(f"{run.name}: {tag}: {len(found)} events, expected {len(expected)}")
            for event, (step, value, seconds) in zip(found, expected):
                close = math.isclose(event.value, value, rel_tol=1e-6, abs_tol=1e-30)
                if event.step != step or not close or abs(event.wall_time - found[0].wall_time - seconds +
                                                          expected[0][2]) > 1e-5:
                    faults.append(f"{run.name}: {tag}: {event}, expected {value} at step {step}, {started} + {seconds} s")
        if run.name == "kfac" and "spectrum/all/largest" not in tags:
            faults.append(f"{run.name}: no spectra among {sorted(tags)}")
    print("\n".join(faults) or f"{compared} scalars agree")
    return 1 if faults or compared == 0 else 0


if __name__ == "__main__":
    checks = {"browser": check_browser, "tensorboard": check_tensorboard}
    if len(sys.argv) != 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        sys.exit(checks[sys.argv[1]](os.path.abspath(sys.argv[2]), pathlib.Path(name)))
