#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns JSON of hso_bench and of bench/peers into Markdown tables, targets beside measurements.

    bench/report.py results.json [peers.json ...]

A ratio is met, missed, or (spread above a quarter of the median) unsettled: measured, but on a machine too restless to
say. Exit status 1 when a target is missed.
"""
import json
import sys

COMPUTE_BOUND = ("96-96-64-10", "784-300-100-10", "784-1024-512-256-128-64-10", "8x512")
RESTLESS = 0.25  # quartile distance over median


def load(path):
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    rows = []
    for entry in data["benchmarks"]:
        parts = entry["name"].split("/")
        rows.append({**entry, "measure": parts[0], "net": parts[1], "type": parts[2]})
    return data.get("context", {}), rows


def verdict(value, limit, at_least=False, spread=0.0):
    met = value >= limit if at_least else value <= limit
    if not met and spread > RESTLESS:
        return "unsettled"
    return "met" if met else "missed"


def targets(row, cuda):
    """(what, measured, limit, at_least) of the project's targets that a row is measured against."""
    measure = row["measure"]
    if measure == "dense_hessian" and row["net"] in COMPUTE_BOUND:
        return [("share of sgemm, executed products", row["gemm_share"], 0.4, True)]
    if measure == "slq_10x80":
        return [("of 800 linearised products", row["of_singles"], 1 / 3 if cuda else 1.0, False)]
    if measure == "lanczos_step":
        return [("over product and sweeps", row["over_floor"], 1.15, False)]
    if row["net"] not in COMPUTE_BOUND or row["type"] != "float32":
        return []
    if measure in ("hvp_fresh", "hvp_linearised", "ggn"):
        return [("over floor", row["over_floor"], 1.15, False)]
    if measure == "gradient":
        share = "shape_gemm_share" if cuda else "gemm_share"
        return [("share of sgemm" + (" at its shapes" if cuda else ""), row[share], 0.75, True)]
    if measure == "lanes_32":
        return [("of 32 fresh products", row["of_fresh_singles"], 0.9, False),
                ("of 32 linearised products", row["of_linearised_singles"], 0.9, False)]
    return []


def number(row, key, pattern="{:.3g}"):
    return pattern.format(row[key]) if key in row else ""


def milliseconds(row):
    scale = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}[row["time_unit"]]
    return row["real_time"] * scale


def cost_table(rows):
    print("| network | measure | type | ms | gradients | floor | over floor | of gemm | of gemm, same shapes | spread |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        if row.get("error_occurred"):
            print(f"| {row['net']} | {row['measure']} | {row['type']} | refused: {row['error_message']} | | | | | | |")
            continue
        cells = [number(row, key) for key in ("in_gradients", "floor", "over_floor", "gemm_share", "shape_gemm_share")]
        cells.append(number(row, "spread", "{:.0%}"))
        print(f"| {row['net']} | {row['measure']} | {row['type']} | {milliseconds(row):.3g} | " + " | ".join(cells) + " |")


def lane_table(rows):
    lanes = [row for row in rows if "of_fresh_singles" in row]
    if not lanes:
        return
    print("\n| network | type | lanes | of that many linearised products | of that many fresh ones |")
    print("|---|---|---|---|---|")
    for row in lanes:
        print(f"| {row['net']} | {row['type']} | {row['lanes']:.0f} | {row['of_linearised_singles']:.3g} | "
              f"{row['of_fresh_singles']:.3g} |")


def target_table(rows, cuda):
    missed = 0
    print("\n| network | measure | target | measured | spread | |\n|---|---|---|---|---|---|")
    for row in rows:
        if row.get("error_occurred"):
            missed += 1
            print(f"| {row['net']} | {row['measure']} | agrees with float64 | {row['error_message']} | | missed |")
            continue
        for what, value, limit, at_least in targets(row, cuda):
            word = verdict(value, limit, at_least, row.get("spread", 0))
            missed += word == "missed"
            sign = ">=" if at_least else "<="
            print(f"| {row['net']} | {row['measure']} | {what} {sign} {limit} | {value:.3g} | "
                  f"{row.get('spread', 0):.0%} | {word} |")
    return missed


def main(paths):
    if not paths:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    missed = 0
    for path in paths:
        context, rows = load(path)
        print(f"## {context.get('framework', 'libhsogpu')} on {context.get('device_description', 'unknown device')}\n")
        for key in ("date", "commit", "device", "libraries", "clock", "num_cpus", "load_avg"):
            if key in context:
                print(f"* {key}: {context[key]}")
        print()
        cost_table(rows)
        lane_table(rows)
        if "framework" not in context:
            missed += target_table(rows, context.get("device", "").startswith("cuda"))
        print()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
