#!/usr/bin/env python3
"""Makes docs/demo.svg from a real run: every command of SCENES is run in a terminal, and what it printed is drawn.

    sudo docs/make-demo-svg.py target/x86_64-unknown-linux-gnu/release/selkie > docs/demo.svg
    sudo docs/make-demo-svg.py --text SELKIE      the same as plain text, for README.md

Needs root and Python's standard library. It uses a store of its own and removes it again. The commands print no
ids and no times, so that the same binary gives the same picture.
"""
import html
import os
import pty
import shutil
import subprocess
import sys
import tempfile

# A line that begins with `#` is shown and not run.
SCENES = r"""
# Two containers of this machine's own programs. One as the internet says, one with what it needs.
selkie run -d --name before --privileged host: sleep 600 > /dev/null
selkie run -d --name after --cap-drop all --cap-add setuid --cap-add setgid host: sleep 600 > /dev/null
selkie ps --format 'table {{.Names}}\t{{.Privileged}}\t{{.Caps}}'
selkie exec after grep Cap /proc/1/status

# A refusal, and the one capability that lifts it.
selkie run --rm host: ip link add br0 type bridge
selkie run --rm --cap-add net_admin host: ip link add br0 type bridge && echo made

# A user namespace would give everything back. It is closed unless you open it.
selkie run --rm --cap-drop all host: unshare -Ur true

# Less for one command of a running container, never more.
selkie exec --cap-drop setuid after grep CapEff /proc/self/status
selkie exec --cap-add net_admin after true

# Before anything runs: what would be granted, and why.
selkie run --dry-run --user 1000 --cap-add net_bind_service --cap-drop all host: true | grep -A6 ^capabilities
"""

WIDTH, LINE, MARGIN, CHARACTER = 132, 18, 16, 7.8
STYLE = """\
text { font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; white-space: pre; fill: #1f2328 }
.comment { fill: #59636e } .prompt { fill: #0550ae; font-weight: bold } .frame { fill: #f6f8fa; stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .comment { fill: #9198a1 } .prompt { fill: #79c0ff } .frame { fill: #0d1117; stroke: #3d444d } }"""


def run(command: str, environment: dict) -> list:
    """Runs `command` in a terminal of its own and returns the lines that it printed."""
    master, replica = pty.openpty()
    process = subprocess.Popen(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=replica, stderr=replica, env=environment)
    os.close(replica)
    output = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # EIO: the last process that had the terminal open has ended.
            break
        if not piece:
            break
        output += piece
    process.wait()
    os.close(master)
    return output.decode("utf-8", "replace").replace("\r", "").expandtabs(8).splitlines()


def record(selkie: str) -> list:
    """Returns the session as pairs of a kind (comment, command, output, empty) and a line."""
    home = tempfile.mkdtemp(prefix="selkie-demo-")
    wrapper = os.path.join(home, "bin", "selkie")
    os.makedirs(os.path.dirname(wrapper))
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {os.path.abspath(selkie)} --root {home}/root --runroot {home}/run "$@"\n')
    os.chmod(wrapper, 0o755)
    environment = dict(os.environ, PATH=os.path.dirname(wrapper) + ":" + os.environ["PATH"], LC_ALL="C", TERM="xterm")
    lines = []
    try:
        for scene in SCENES.strip().splitlines():
            if not scene:
                lines.append(("empty", ""))
            elif scene.startswith("#"):
                lines.append(("comment", scene))
            else:
                lines.append(("command", "$ " + scene))
                lines.extend(("output", line.rstrip()) for line in run(scene, environment))
    finally:
        for name in ("before", "after"):
            subprocess.run([wrapper, "rm", "-f", "-t", "0", name], env=environment, check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)
    return lines


def folded(lines: list) -> list:
    """Breaks lines that are wider than the picture, as a terminal does."""
    return [(kind, line[start:start + WIDTH]) for kind, line in lines for start in range(0, max(len(line), 1), WIDTH)]


def svg(lines: list) -> str:
    """Draws the session."""
    lines = folded(lines)
    width, height = round(2 * MARGIN + WIDTH * CHARACTER), 2 * MARGIN + LINE * len(lines)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        "<title>A terminal: selkie runs containers with and without capabilities</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="frame" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
    ]
    for number, (kind, line) in enumerate(lines):
        if not line:
            continue
        place = f'x="{MARGIN}" y="{MARGIN + LINE * number + 13}" xml:space="preserve"'
        text = html.escape(line, quote=False)
        if kind == "command" and text.startswith("$ "):
            text = f'<tspan class="prompt">$</tspan>{text[1:]}'
        out.append(f'<text {"class=" + chr(34) + "comment" + chr(34) + " " if kind == "comment" else ""}{place}>{text}</text>')
    return "\n".join(out + ["</svg>", ""])


def main() -> None:
    arguments = [word for word in sys.argv[1:] if word != "--text"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    lines = record(arguments[0])
    if "--text" in sys.argv:
        print("\n".join(line for _, line in lines))
    else:
        sys.stdout.write(svg(lines))


if __name__ == "__main__":
    main()
