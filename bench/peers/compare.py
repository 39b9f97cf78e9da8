"""What the scripts bench/compare_* share, compare_llamacpp excepted: the peers' environments, workers that time a pass on request, rounds
of all workers in changing order, and the table in docs/performance.md."""
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import sysconfig
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "transom"
PACKAGES = ["ctranslate2==4.8.5", "openvino==2026.4.1", "onnxruntime==1.32.0", "onnx"]


def environment(name, packages, borrow=False):
    """A Python with these packages, made the first time; they serve this process too, behind its own. With `borrow` that Python also
    has this process' packages (torch), behind its own."""
    home = CACHE / "peers" / name
    if not (home / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        if borrow:
            (site,) = home.glob("lib/python*/site-packages")
            (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([home / "bin" / "pip", "install", "--quiet", *packages], check=True)
        (home / "done").touch()
    sys.path += [str(p) for p in home.glob("lib/python*/site-packages")]
    return home / "bin" / "python"


def peers_python():
    return environment("python", PACKAGES)


class Worker:
    """A process that answers one line of JSON with another."""

    def __init__(self, name, command):
        self.name = name
        environment = {**os.environ, "OMP_NUM_THREADS": command[-1] if command[-1].isdigit() else "2"}
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended: expected an answer to {request['do']}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def transom(args, model, dtype, name=None):
    return Worker(f"transom {name or dtype}", [args.bench, model, "--dtype", dtype, "--threads", str(args.threads)])


def peer(python, kind, model, compute, threads, script="passes.py"):
    return Worker(f"{kind} {compute}", [python, ROOT / "bench" / "peers" / script, kind, model, compute, str(threads)])


def rounds(workers, count, request, pause=0.3):
    """Seconds of every worker in every round. The order turns from round to round; a pause lets a peer's spinning threads sleep."""
    for w in workers:
        w.ask(**request)
    seconds = {w.name: [] for w in workers}
    for i in range(count):
        turn = i % len(workers)
        for w in workers[turn:] + workers[:turn]:
            time.sleep(pause)
            seconds[w.name].append(w.ask(**request)["seconds"])
    return seconds


def ratio(ours, theirs):
    """How many times as fast ours is, round by round."""
    r = [b / a for a, b in zip(ours, theirs)]
    return f"**{statistics.median(r):.2f}** ({min(r):.2f}–{max(r):.2f})"


def cosine(a, b):
    """The least over rows."""
    import numpy as np

    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(((a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))).min())


def heading(args, packages=PACKAGES[:3]):
    doctor = json.loads(subprocess.run([args.transom, "doctor", "--json"], check=True, capture_output=True, text=True).stdout)
    cpu = doctor["cpu"]
    sets = ", ".join(n for n in cpu["isa"] if n in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"))
    return (f"{cpu['name']} ({cpu['cores']} cores, {sets}), {args.threads} threads; transom {doctor['version']}, "
            f"{', '.join(packages)}; {args.rounds} rounds, {datetime.date.today().isoformat()}.")


def write(script, text):
    begin, end = f"<!-- {script}: begin -->", f"<!-- {script}: end -->"
    path = ROOT / "docs" / "performance.md"
    new, count = re.subn(re.escape(begin) + ".*" + re.escape(end), lambda _: f"{begin}\n{text}\n{end}", path.read_text(), flags=re.S)
    if count != 1:
        sys.exit(f"{script}: {path}: expected one pair of marks, found {count}")
    path.write_text(new)


def add_arguments(parser, default_rounds):
    parser.add_argument("--rounds", type=int, default=default_rounds)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bench", default=ROOT / "build" / "bench" / "passes_bench")
    parser.add_argument("--transom", default=ROOT / "build" / "transom")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
