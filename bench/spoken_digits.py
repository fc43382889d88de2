#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes spoken digits with espeak-ng (https://github.com/espeak-ng/espeak-ng, a formant synthesiser, not people).

    bench/spoken_digits.py spoken           espeak-ng must be there (a package of Debian, Ubuntu and others)
    hso train --data wav:spoken --model spoken.toml ...

Writes FOLDER/zero/*.wav to FOLDER/nine/*.wav: every digit in all voices, speeds and pitches below, 16 bits at 22,050
samples a second. The speakers of a class differ as little as a synthesiser's do: the set shows that sounds are read and
learned, and says nothing about speech recognition.
"""
import argparse
import itertools
import pathlib
import subprocess

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
VOICES = ["en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029"]
VARIANTS = ["", "+f2", "+m3", "+f4"]
SPEEDS = [120, 160, 200]
PITCHES = [30, 50, 70]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    for word in WORDS:
        (folder / word).mkdir(parents=True, exist_ok=True)
        for voice, variant, speed, pitch in itertools.product(VOICES, VARIANTS, SPEEDS, PITCHES):
            path = folder / word / f"{voice}{variant}-{speed}-{pitch}.wav"
            subprocess.run(["espeak-ng", "-v", voice + variant, "-s", str(speed), "-p", str(pitch), "-w", str(path), word],
                           check=True)
    print(f"{len(WORDS) * len(VOICES) * len(VARIANTS) * len(SPEEDS) * len(PITCHES)} files in {folder}")


if __name__ == "__main__":
    main()
