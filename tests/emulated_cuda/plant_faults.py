#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants faults in a scratch copy of cuda/, one after the other, and runs the emulated device tests on each.

    python3 tests/emulated_cuda/plant_faults.py --scratch DIR [--only NAME ...] [--jobs 2]
    python3 tests/emulated_cuda/plant_faults.py --check        whether every fault can still be planted; builds nothing

Before the first fault every set of tests must pass. A fault that no test finds makes the exit code 1. DIR gets a clone of this checkout with a build of its own (kept between
runs). Each fault is a text that must stand exactly once in its file, and what stands there instead. Prints a table.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time

# name, file, original, replacement, tests, environment
WAITS = "CudaDevice*:*BackendTest*/cuda:*BlasTest.Dots*/cuda"
SUMS = "CudaDevice.*:*BlasTest*/cuda"
GRAPHS = "CudaDevice*:EmulatedSolvers*:EmulatedQueuedSteps*:*TapeState*/cuda"
DENSE = "*LapackTest*/cuda:*LinalgTest*/cuda:EmulatedFailuresOfSolvers*"
ALL = "CudaDevice*:*BlasTest*/cuda:*BackendTest*/cuda:*ElementsTest*/cuda:*LapackTest*/cuda:*TapeState*/cuda:Emulated*"
CHECK = {"HSO_EMULATED_CHECK": "1"}
EXACT = {"HSO_TEST_EXACT_SCRATCH": "1"}
FAULTS = [
    ("dots does not wait", "cuda/cuda_ops.cpp", "    context_.synchronize();\n    std::copy_n", "    std::copy_n", WAITS, {}),
    ("max_abs does not wait", "cuda/cuda_ops.cpp", "  context_.synchronize();\n  return *context_", "  return *context_", WAITS, {}),
    ("small reads do not wait", "cuda/staging.cpp", "  HSO_CHECK(cudaStreamSynchronize(stream));\n  if (small)", "  if (small)", WAITS, {}),
    ("staging slot reused in flight", "cuda/staging.cpp", "    HSO_CHECK(cudaEventSynchronize(slots_[current_].copied.get()));", "  ", "CudaDevice.Transfers*", {}),
    ("staging slot without its event", "cuda/staging.cpp", "  HSO_CHECK(cudaEventRecord(room.copied, stream));", "", "CudaDevice.Transfers*", {}),
    ("staging slot filled past its end", "cuda/staging.cpp", "  if (used_ + bytes > static_cast<std::size_t>(kSlotBytes)) {", "  if (used_ > static_cast<std::size_t>(kSlotBytes)) {", "CudaDevice.Transfers*", {}),
    ("readback does not wait", "cuda/readback.cpp", "  HSO_CHECK(cudaEventSynchronize(copied_.get()));\n  return", "  return", ALL, {}),
    ("leading dimensions of A and B swapped", "cuda/cuda_gemm.cpp", "g.b, g.ldb, g.stride_b, g.a, g.lda, g.stride_a}", "g.b, g.lda, g.stride_b, g.a, g.ldb, g.stride_a}", "*BlasTest*/cuda", {}),
    ("a stride of the batch forgotten", "cuda/cuda_gemm.cpp", "g.b, g.ldb, g.stride_b,", "g.b, g.ldb, 0,", "*BlasTest*/cuda", {}),
    ("m and n swapped", "cuda/cuda_gemm.cpp", "g.n, g.m, g.k", "g.m, g.n, g.k", "*BlasTest*/cuda", {}),
    ("transposes swapped", "cuda/cuda_gemm.cpp", "operation(g.trans_b), operation(g.trans_a)", "operation(g.trans_a), operation(g.trans_b)", "*BlasTest*/cuda", {}),
    ("k = 0 leaves C", "cuda/cuda_gemm.cpp", "  if (args.k == 0) return scale_result(args);", "  if (args.k == 0) return;", "*BlasTest*/cuda", {}),
    ("reduction starts one late", "cuda/reduce.cu", "range.begin + me / width, range.end", "range.begin + me / width + 1, range.end", SUMS, {}),
    ("reduction ends one late", "cuda/reduce.cu", "range.begin + position, range.end", "range.begin + position, range.end + 1", SUMS, {}),
    ("no barrier after the store", "cuda/reduce.cu", "  shared[me] = value;\n  __syncthreads();", "  shared[me] = value;", SUMS, CHECK),
    ("no barrier in the tree", "cuda/reduce.cu", "      shared[me] = combine(mine, other);\n    }\n    __syncthreads();", "      shared[me] = combine(mine, other);\n    }", SUMS, CHECK),
    ("barrier inside the branch", "cuda/reduce.cu", "      shared[me] = combine(mine, other);\n    }\n    __syncthreads();", "      shared[me] = combine(mine, other);\n      __syncthreads();\n    }", SUMS, {}),
    ("tree stops early", "cuda/reduce.cu", "for (int offset = first; offset >= last; offset /= 2)", "for (int offset = first; offset > last; offset /= 2)", SUMS, {}),
    ("shared memory one word short", "cuda/reduce.cu", "kThreads, kThreads * sizeof(V)}", "kThreads, (kThreads - 1) * sizeof(V)}", SUMS, {}),
    ("partial sums one short", "cuda/cuda_ops.cpp", "scratch.take<T>(sum_rows_partials(args.lanes, args.rows, args.cols))", "scratch.take<T>(sum_rows_partials(args.lanes, args.rows, args.cols) - (sum_rows_partials(args.lanes, args.rows, args.cols) > 0))", SUMS, EXACT),
    ("NaN is not the largest", "cuda/reduce.cu", "a > b || a != a ? a : b", "a > b ? a : b", SUMS + ":CudaDevice.Largest*", {}),
    ("ties of argmin go to the last", "cuda/reduce.cu", "there < places[me]", "there > places[me]", "*Backend*/cuda:*Blas*/cuda:*Surgeon*/cuda:*Argmin*/cuda:*Elements*/cuda", {}),
    ("release inside a capture", "cuda/cuda_context.cpp", "  if (capturing_) {\n    released_in_capture_.push_back(memory);\n    return;\n  }\n", "", "CudaDevice*", {}),
    ("graph kept after a release", "cuda/cuda_context.cpp", "  if (!released.empty()) graph.reset();\n", "", "CudaDevice*:Emulated*", {}),
    ("cuBLAS without its workspace", "cuda/cuda_context.cpp", "  HSO_CHECK(cublasSetWorkspace(blas_.get(), blas_workspace_.get(), kBlasWorkspaceBytes));\n", "", GRAPHS, {}),
    ("workspace set before the stream", "cuda/cuda_context.cpp", "  HSO_CHECK(cublasSetStream(blas_.get(), stream_.get()));  // before the workspace: it resets the workspace\n  HSO_CHECK(cublasSetWorkspace(blas_.get(), blas_workspace_.get(), kBlasWorkspaceBytes));\n", "  HSO_CHECK(cublasSetWorkspace(blas_.get(), blas_workspace_.get(), kBlasWorkspaceBytes));\n  HSO_CHECK(cublasSetStream(blas_.get(), stream_.get()));\n", GRAPHS, {}),
    ("memory freed instead of released in order", "cuda/memory_pool.cpp", "pool_ ? cudaFreeAsync(memory, stream) : cudaFree(memory)", "(static_cast<void>(stream), cudaFree(memory))", "*BackendTest*/cuda", {}),
    ("pool not destroyed", "cuda/cuda_context.cpp", "  pool_.reset();\n}", "  static_cast<void>(pool_.release());\n}", ALL, {}),
    ("eigenvalues counted from 0", "cuda/cuda_eigen.cpp", "&high, il + 1, iu + 1,\n                                &found, kData<T>, values", "&high, il, iu,\n                                &found, kData<T>, values", DENSE, {}),
    ("range without room for all values", "cuda/cuda_eigen.cpp", "T* values = scratch.take<T>(n);", "T* values = scratch.take<T>(wanted);", DENSE, {}),
    ("wrong triangle", "cuda/solver_types.hpp", "CUBLAS_FILL_MODE_UPPER", "CUBLAS_FILL_MODE_LOWER", DENSE, {}),
    ("workspace of half the size", "cuda/cuda_dense.cpp", "scratch.take<char>(static_cast<Index>(bytes.device))", "scratch.take<char>(static_cast<Index>(bytes.device / 2))", DENSE, EXACT),
    ("inverse keeps one triangle", "cuda/cuda_dense.cpp", "  if (zero_pivot == 0) for_each(n, n, MirrorLower<T>{factor, n});\n", "", DENSE, {}),
    ("info of a batch read once", "cuda/cuda_eigen.cpp", "int* info = scratch.take<int>(batch);", "int* info = scratch.take<int>(1);", DENSE, EXACT),
    ("pack without looking at alignment", "cuda/packs.hpp", "  return reinterpret_cast<std::uintptr_t>(row) % alignof(Pack<T, N>) == 0;", "  return row != nullptr;", "*Operands*/cuda:*ElementsTest*/cuda", {}),
    ("one element a row too many", "cuda/element_map.hpp", "threads(static_cast<std::uint32_t>(count * (length / Wide + length % Wide))),", "threads(static_cast<std::uint32_t>(count * (length / Wide + length % Wide) + 1)),", "CudaIndex*:*Operands*/cuda:*ElementsTest*/cuda:*BlasTest*/cuda", {}),
]


def run(command, log, **options):
    return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, **options).returncode


def prepare(root, scratch, log):
    if not (scratch / "CMakeLists.txt").exists():
        subprocess.run(["git", "clone", "-q", str(root), str(scratch)], check=True)
    subprocess.run(["git", "-C", str(scratch), "checkout", "-q", "-f", "--detach"], check=True)
    launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if run(["which", "ccache"], log) == 0 else []
    configure = ["cmake", "-S", str(scratch), "-B", str(scratch / "build/quickstart"), "--preset", "quickstart",
                 "-DHSO_CUDA=OFF", "-DHSO_TESTS=ON", "-DHSO_WERROR=ON", *launcher]
    if run(configure, log, cwd=scratch) != 0:
        sys.exit("the scratch copy does not configure")


def build(scratch, jobs, log):
    return run(["cmake", "--build", str(scratch / "build/quickstart"), "-j", str(jobs), "--target", "hso_emulated_tests"], log)


def outcome(scratch, tests, extra, seconds=120):
    """What finds the fault: "failed: TEST", "ended: MESSAGE", or None."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **extra}
    program = scratch / "build/quickstart/tests/hso_emulated_tests"
    try:
        done = subprocess.run([str(program), f"--gtest_filter={tests}", "--gtest_fail_fast"], env=environment, capture_output=True, text=True,
                              timeout=seconds)
    except subprocess.TimeoutExpired:
        return "ended: no end within the time"
    for line in (done.stdout + done.stderr).splitlines():
        if line.startswith("emulated device:"):
            return "ended: " + line.removeprefix("emulated device: ")[:100]
        if line.startswith("[  FAILED  ]"):
            return "failed: " + line.removeprefix("[  FAILED  ] ").split(" (")[0][:100]
    return None if done.returncode == 0 else f"ended: exit code {done.returncode}"


def plant(scratch, file, original, replacement):
    path = scratch / file
    text = path.read_text()
    if text.count(original) != 1:
        return False
    path.write_text(text.replace(original, replacement))
    return True


def require_passes(scratch, options, log):
    """Without a fault there is nothing to find."""
    if build(scratch, options.jobs, log) != 0:
        sys.exit("the scratch copy does not compile")
    sets = {(tests, tuple(extra.items())) for name, _, _, _, tests, extra in FAULTS if not options.only or name in options.only}
    for tests, extra in sorted(sets):
        found = outcome(scratch, tests, dict(extra), 600)
        if found is not None:
            sys.exit(f"without a fault, {tests}: {found}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=pathlib.Path)
    parser.add_argument("--check", action="store_true", help="whether every text stands once in its file")
    parser.add_argument("--only", nargs="*", help="names of faults; default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    if options.check:
        wrong = [f"{name}: its text does not stand once in {file}" for name, file, original, *_ in FAULTS
                 if (root / file).read_text().count(original) != 1]
        print("\n".join(wrong) if wrong else f"{len(FAULTS)} faults can be planted")
        return 1 if wrong else 0
    if options.scratch is None:
        parser.error("--scratch DIR or --check")
    scratch = options.scratch.resolve()
    log = open(scratch.parent / (scratch.name + ".log"), "w")
    prepare(root, scratch, log)
    require_passes(scratch, options, log)
    missed = []
    for name, file, original, replacement, tests, extra in FAULTS:
        if options.only and name not in options.only:
            continue
        start = time.monotonic()
        subprocess.run(["git", "-C", str(scratch), "checkout", "-q", "-f", "HEAD", "--", "cuda"], check=True)
        if not plant(scratch, file, original, replacement):
            found = None
            name += f" (its text does not stand once in {file})"
        elif build(scratch, options.jobs, log) != 0:
            found = "does not compile"
        else:
            found = outcome(scratch, tests, extra)
        if found is None or found == "does not compile":
            missed.append(name)
        print(f"| {name} | {found or 'NOT FOUND'} | {time.monotonic() - start:.0f} s |", flush=True)
    subprocess.run(["git", "-C", str(scratch), "checkout", "-q", "-f", "HEAD", "--", "cuda"], check=True)
    print(f"{len(missed)} faults were not found" + "".join(f"\n  {name}" for name in missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
