#!/usr/bin/env python3
"""Makes a picture from a real run: every command of a session is run in a terminal, and what it printed is drawn.

    sudo docs/make-demo-svg.py target/x86_64-unknown-linux-gnu/release/selkie > docs/demo.svg
    sudo docs/make-demo-svg.py --text SELKIE      the same as plain text, for README.md
    sudo docs/make-demo-svg.py --learn SELKIE     docs/learn.svg; tools/record-demo prepares what it needs

Needs root and Python's standard library. It uses a store of its own and removes it again. The commands print no
ids, and those of docs/demo.svg no times either, so that the same binary gives the same picture.
"""
import fcntl
import html
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios

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

# Needs Debian with nginx at /srv/debian.
LEARN = r"""
# A web server on port 80, as it comes. Eleven capabilities by default: which does it need?
selkie learn --rootfs /srv/debian:O nginx -g 'daemon off;'

# With exactly these, and with none at all: the change that was tried and passed.
selkie run -d --name five --profile nginx --rootfs /srv/debian:O nginx -g 'daemon off;' > /dev/null
flags='--user 33:33 --sysctl net.ipv4.ip_unprivileged_port_start=80 --tmpfs /var/lib/nginx:mode=1777 --tmpfs /run:mode=1777'
selkie run -d --name none --cap-drop all $flags --rootfs /srv/debian:O nginx -g 'daemon off;' > /dev/null
selkie ps --format 'table {{.Names}}\t{{.Privileged}}\t{{.Caps}}'

# For where you keep your configuration.
selkie export nginx --to quadlet --zero 2
"""

WIDTH, LINE, MARGIN, CHARACTER = 132, 18, 16, 7.8
STYLE = """\
text { font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; white-space: pre; fill: #1f2328 }
.comment { fill: #59636e } .prompt { fill: #0550ae; font-weight: bold } .frame { fill: #f6f8fa; stroke: #d1d9e0 }
.good { fill: #1a7f37 } .bad { fill: #9a6700 } .strong { font-weight: bold } .faint { fill: #59636e }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .comment { fill: #9198a1 } .prompt { fill: #79c0ff } .frame { fill: #0d1117; stroke: #3d444d }
  .good { fill: #56d364 } .bad { fill: #e3b341 } .faint { fill: #9198a1 } }"""
DARK = """\
text { font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; white-space: pre; fill: #e6edf3 }
.comment { fill: #9198a1 } .prompt { fill: #79c0ff; font-weight: bold } .frame { fill: #0d1117; stroke: #3d444d }
.good { fill: #56d364 } .bad { fill: #e3b341 } .strong { font-weight: bold } .faint { fill: #9198a1 }"""

# What selkie writes in colour, by the number of the escape sequence.
COLOURS = {"": "", "0": "", "1": "strong", "2": "faint", "32": "good", "33": "bad"}
COLOUR = re.compile("\x1b\\[([0-9]*)m")


def run(command: str, environment: dict) -> list:
    """Runs `command` in a terminal of its own and returns the lines that it printed."""
    master, replica = pty.openpty()
    fcntl.ioctl(replica, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
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
    text = output.decode("utf-8", "replace").replace("\r\n", "\n").expandtabs(8)
    # What a line was before it was cleared and written anew has been seen, and is gone.
    return [line.split("\r\x1b[K")[-1].replace("\r", "") for line in text.removesuffix("\n").split("\n")] if text else []


def record(selkie: str, scenes: str) -> list:
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
        for scene in scenes.strip().splitlines():
            if not scene:
                lines.append(("empty", ""))
            elif scene.startswith("#"):
                lines.append(("comment", scene))
            else:
                lines.append(("command", "$ " + scene))
                if re.match(r"[a-z]+='", scene):
                    name, value = scene.split("=", 1)
                    environment[name] = value.strip("'")
                    continue
                lines.extend(("output", line.rstrip()) for line in run(scene, environment))
    finally:
        for name in ("before", "after", "five", "none"):
            subprocess.run([wrapper, "rm", "-f", "-t", "0", name], env=environment, check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)
    return lines


def coloured(lines: list) -> list:
    """Takes the colours out of the lines: each is a kind, its text, and the class of each character."""
    result, now = [], ""
    for kind, line in lines:
        text, classes = "", []
        # A colour lasts until the next one, beyond the end of a line too.
        pieces = COLOUR.split(line)
        for number, piece in enumerate(pieces):
            if number % 2:
                now = COLOURS[piece]
            else:
                text += piece
                classes += [now] * len(piece)
        result.append((kind, text, classes))
    return result


def folded(lines: list) -> list:
    """Breaks lines that are wider than the picture, as a terminal does."""
    return [
        (kind, text[start:start + WIDTH], classes[start:start + WIDTH])
        for kind, text, classes in lines
        for start in range(0, max(len(text), 1), WIDTH)
    ]


def spans(text: str, classes: list) -> str:
    """Draws a line, characters of one class together."""
    out, start = "", 0
    for end in range(1, len(text) + 1):
        if end == len(text) or classes[end] != classes[start]:
            piece = html.escape(text[start:end], quote=False)
            out += f'<tspan class="{classes[start]}">{piece}</tspan>' if classes[start] else piece
            start = end
    return out


def svg(lines: list, title: str, style: str) -> str:
    """Draws the session."""
    lines = folded(coloured(lines))
    width, height = round(2 * MARGIN + WIDTH * CHARACTER), 2 * MARGIN + LINE * len(lines)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>A terminal: {title}</title>",
        f"<style>{style}</style>",
        f'<rect class="frame" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
    ]
    for number, (kind, line, classes) in enumerate(lines):
        if not line:
            continue
        place = f'x="{MARGIN}" y="{MARGIN + LINE * number + 13}" xml:space="preserve"'
        text = spans(line, classes)
        if kind == "command" and text.startswith("$ "):
            text = f'<tspan class="prompt">$</tspan>{text[1:]}'
        out.append(f'<text {"class=" + chr(34) + "comment" + chr(34) + " " if kind == "comment" else ""}{place}>{text}</text>')
    return "\n".join(out + ["</svg>", ""])


def main() -> None:
    arguments = [word for word in sys.argv[1:] if word not in ("--text", "--learn")]
    if len(arguments) != 1:
        sys.exit(__doc__)
    learns = "--learn" in sys.argv
    lines = record(arguments[0], LEARN if learns else SCENES)
    if "--text" in sys.argv:
        print("\n".join(text for _, text, _ in coloured(lines)))
    elif learns:
        sys.stdout.write(svg(lines, "selkie learns which capabilities nginx needs, and how it needs none", DARK))
    else:
        sys.stdout.write(svg(lines, "selkie runs containers with and without capabilities", STYLE))


if __name__ == "__main__":
    main()
