"""Protea's half of the benchmark: each case in a process of its own, which may fail or hang."""
import json
import os
import pathlib
import subprocess


def command(program, case):
    """Ops are timed by the native program, the whole step by Node, which PROTEA_NODE must name."""
    if not case.startswith("step"):
        return [program, "bench", case], None
    node = os.environ.get("PROTEA_NODE")
    if not node:
        raise RuntimeError("the step is timed by Node: PROTEA_NODE must name it")
    libraries = os.environ.get("PROTEA_LIBRARIES")
    environment = {**os.environ, **({"LD_LIBRARY_PATH": libraries} if libraries else {})}
    return [node, str(pathlib.Path(__file__).with_name("step.mjs")), case.split()[1]], environment


def ended(process, limit):
    """Its output, whether it was killed at its limit. It stays in the process group of this program,
    which is how whoever stops this program stops it too; it starts no others."""
    try:
        return process.communicate(timeout=limit)[0], False
    except subprocess.TimeoutExpired:
        process.kill()
    try:
        return process.communicate(timeout=2)[0], True
    except subprocess.TimeoutExpired as held:  # by its driver, or by who has its output
        return (held.output or b"").decode(errors="replace"), True


def timed(program, case, limit):
    """{precision: its line}, and what went wrong, if anything, within `limit` seconds."""
    words, environment = command(program, case)
    limit = max(1.0, limit)
    process = subprocess.Popen(words, text=True, stdout=subprocess.PIPE, env=environment)
    output, hung = ended(process, limit)
    found, rest = {}, []
    for text in output.splitlines():
        try:
            line = json.loads(text)
            found[line["precision"]] = line
        except (ValueError, KeyError, TypeError):
            rest.append(text)
    error = None
    if hung:
        error = f"stopped after {limit:.0f} s"
    elif process.returncode:
        error = " / ".join([f"ended with {process.returncode}", *rest[-3:]])
    return found, error or (None if found else "timed nothing")
