#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the Markdown pages.

usage: docs.py text SOURCE_TREE
       docs.py commands SOURCE_TREE PAGE PROGRAM FOLDER

`text`: the README has at most 150 lines and no page a line over 100 columns; relative links and their anchors exist;
every page is reached from the README; the C++ of the pages is, letter for letter, the programs of tests/consumer.

`commands`: runs the shell commands of PAGE in FOLDER, which is emptied first and looks like the source tree, with
PROGRAM as `hso`. A block ```sh is one script. In a block ```console each line that starts with `$ ` (and those that
follow a backslash) is a command, and what stands below it is its output: text must agree, a number may be any number,
and `...` is anything, a line of its own any number of lines. A comment above a block changes that:
<!-- not run: REASON --> or <!-- exit code: N --> (of its last command).
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md", "docs/*.md", "docs/guide/*.md"]
README_LINES, COLUMNS = 150, 100
LANGUAGES = {"sh", "console", "cpp", "text", "toml"}  # text: neither run nor compiled


def pages(tree):
    return sorted(page for pattern in PAGES for page in tree.glob(pattern))


def blocks(page):
    """(line number, language, comment above, text) of the fenced blocks."""
    out, comment, start, text = [], "", 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```") and not start:
            start, language, text = number, line[3:], []
        elif line.startswith("```"):
            out.append((start, language, comment, "\n".join(text) + "\n"))
            start, comment = 0, ""
        elif start:
            text.append(line)
        elif line.strip():
            comment = line if line.startswith("<!--") else ""
    if start:
        sys.exit(f"{page}:{start}: the block is not closed")
    return out


def prose(page):
    """The page without fenced blocks and code spans."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`]*`", lambda code: re.sub(r"[\[\]()]", "", code.group()), text)


def anchors(page):
    """The names that GitHub gives to headings."""
    titles = re.findall(r"^#+ (.*)$", prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page):
    return [link for link in re.findall(r"\]\(([^()\s]+)\)", prose(page)) if not re.match(r"\w+:", link)]


def check_lines(tree):
    wrong = []
    for page in pages(tree):
        lines = page.read_text(encoding="utf-8").splitlines()
        name = page.relative_to(tree)
        wrong += [f"{name}:{n}: {len(line)} columns, at most {COLUMNS}" for n, line in enumerate(lines, 1)
                  if len(line) > COLUMNS]
        if page.name == "README.md" and page.parent == tree and len(lines) > README_LINES:
            wrong.append(f"{name}: {len(lines)} lines, at most {README_LINES}")
    return wrong


def check_links(tree):
    wrong, reached, known = [], {tree / "README.md"}, pages(tree)
    waiting = list(reached)
    while waiting:
        page = waiting.pop()
        for link in links(page):
            path, _, anchor = link.partition("#")
            target = pathlib.Path(os.path.normpath(page.parent / path)) if path else page
            if not target.exists():
                wrong.append(f"{page.relative_to(tree)}: the link {link} leads nowhere")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                wrong.append(f"{page.relative_to(tree)}: {link}: no such heading")
            elif target in known and target not in reached:
                reached.add(target)
                waiting.append(target)
    return wrong + [f"{page.relative_to(tree)}: no link leads here" for page in known if page not in reached]


def check_blocks(tree):
    wrong, shown = [], {}
    programs = {path.read_text(encoding="utf-8"): path for path in tree.glob("tests/consumer/*.cpp")}
    for page in pages(tree):
        for line, language, _, text in blocks(page):
            where = f"{page.relative_to(tree)}:{line}"
            if language not in LANGUAGES:
                wrong.append(f"{where}: block of '{language}', expected one of {', '.join(sorted(LANGUAGES))}")
            run_here = page == tree / "README.md" or page.parent.name == "guide"
            if run_here and language == "text" and re.search(r"^(\$ )?hso ", text, flags=re.M):
                wrong.append(f"{where}: a command in a block of text, which is not run")
            if language == "cpp" and text not in programs:
                wrong.append(f"{where}: no program of tests/consumer is exactly this")
            shown[text] = where
    return wrong + [f"{path.relative_to(tree)}: on no page" for text, path in programs.items() if text not in shown]


def check_text(tree):
    wrong = check_lines(tree) + check_links(tree) + check_blocks(tree)
    print("\n".join(wrong) or f"{len(pages(tree))} pages")
    return 1 if wrong else 0


def commands(text):
    """(command, lines shown below it) of a console block."""
    out, lines = [], iter(text.splitlines())
    for line in lines:
        if not line.startswith("$ "):
            out[-1][1].append(line)
            continue
        command = line[2:]
        while command.endswith("\\"):
            command = command[:-1] + next(lines)
        out.append((command, []))
    return out


def pattern(line):
    """What a shown line stands for."""
    number = r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
    pieces = re.split(rf"(\.\.\.|\s+|{number})", line.strip())
    meaning = {"...": ".*", " ": r"\s+"}
    return "".join(meaning.get(re.sub(r"\s+", " ", p), number if re.fullmatch(number, p) else re.escape(p))
                   for p in pieces)


def agrees(shown, lines):
    """Whether the lines of an output, in order, are what is shown."""
    if not shown:
        return not lines
    if shown[0].strip() == "...":
        return any(agrees(shown[1:], lines[skip:]) for skip in range(len(lines) + 1))
    return bool(lines) and re.fullmatch(pattern(shown[0]), lines[0].strip()) and agrees(shown[1:], lines[1:])


def run(command, folder, environment):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(f"$ {command.rstrip()}\n{done.stdout}", end="")
    return done.returncode, done.stdout.splitlines()


def make_folder(tree, program, folder):
    """Holds what the source tree holds, with the program in place of what ./quickstart would build."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("bench", "tests", "docs"):
        (folder / name).symlink_to(tree / name)
    (folder / "build" / "quickstart").mkdir(parents=True)
    (folder / "build" / "quickstart" / "hso").symlink_to(program)
    quickstart = folder / "quickstart"
    bare = re.search(r"set -- (train .*)", (tree / "quickstart").read_text(encoding="utf-8")).group(1)
    quickstart.write_text(f'#!/bin/sh\n[ $# != 1 ] || set -- {bare}\nexec "{program}" "$@"\n', encoding="utf-8")
    quickstart.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HSO_")}
    environment["PATH"] = f"{program.parent}:{environment['PATH']}"
    return environment | {"OMP_NUM_THREADS": "1"}


def check_commands(tree, page, program, folder):
    environment = make_folder(tree, program, folder)
    for line, language, comment, text in blocks(tree / page):
        if language not in ("sh", "console") or comment.startswith("<!-- not run"):
            continue
        expected = int((re.findall(r"<!-- exit code: (\d+)", comment) or [0])[0])
        to_run = [(text, None)] if language == "sh" else commands(text)
        for place, (command, shown) in enumerate(to_run, 1):
            code, lines = run(command, folder, environment)
            if code != (expected if place == len(to_run) else 0):
                print(f"{page}:{line}: the command ended with exit code {code}")
                return 1
            if shown and not agrees([s for s in shown if s.strip()], [o for o in lines if o.strip()]):
                print(f"{page}:{line}: the output is not what the page shows:\n" + "\n".join(shown))
                return 1
    return 0


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "text":
        return check_text(pathlib.Path(arguments[1]).absolute())
    if len(arguments) == 5 and arguments[0] == "commands":
        tree, program, folder = (pathlib.Path(arguments[i]).absolute() for i in (1, 3, 4))
        return check_commands(tree, arguments[2], program, folder)
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
