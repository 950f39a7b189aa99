"""What this process and this machine are doing; standard library only, so that a peer's environment can import it."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

MIB = 1_048_576


def rss_mib() -> float:
    """Return the memory this process holds now."""
    return _status_kib("VmRSS") / 1024


def peak_rss_mib() -> float:
    """Return the most memory this process has held since `forget_peak_rss`."""
    return _status_kib("VmHWM") / 1024


def forget_peak_rss() -> None:
    """Let the peak start again from what is held now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def thread_cpu_s() -> float:
    """Return the processor seconds this thread has used: what one core does, whoever else is busy."""
    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_utime + used.ru_stime


def machine() -> dict[str, object]:
    """Return what the numbers depend on."""
    memory_kib = int(Path("/proc/meminfo").read_text(encoding="ascii").split()[1])
    return {
        "model": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kib / MIB, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def load_average() -> float:
    """Return the mean number of runnable processes over the last minute."""
    return round(os.getloadavg()[0], 2)


def _status_kib(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise OSError(f"/proc/self/status has no {name}")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
