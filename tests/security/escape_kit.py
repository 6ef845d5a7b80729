"""What the escape suite runs: a victim, an attacker that tries everything, and its calls of the kernel alone."""

from typing import Any

import pyseccomp

from taskyard.drivers.sandbox.seccomp import LAST_KNOWN, RULES

SECRET = "tyw-0f7a-of-the-victim"

VICTIM = """
import socket
listener = socket.socket(socket.AF_UNIX); listener.bind("\\0" + PLAN["abstract"]); listener.listen()
tcp = socket.create_server(("127.0.0.1", PLAN["port"]))
open("kept", "w").write(os.environ["SECRET"])
with socket.socket(socket.AF_UNIX) as own:
    REPORT["own"] = tried(lambda: own.connect("\\0" + PLAN["abstract"]))
REPORT["bound"] = tried(lambda: socket.socket(socket.AF_UNIX).bind("/run/taskyard/victim.sock"))
"""

CALLS = """
import fcntl, mmap
N = PLAN["numbers"]
def long(value):
    return ctypes.c_ulong(value)
def cloned(flags):
    ctypes.set_errno(0)
    answer = libc.syscall(long(N["clone"]), long(flags | signal.SIGCHLD), *[long(0)] * 4)
    if answer == 0:
        os._exit(0)
    if answer > 0:
        os.waitpid(answer, 0)
        return "done"
    return name(ctypes.get_errno())
def machine_code(code):
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex(code) + b"\\xc3")
    work = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1]
REPORT["calls"] = {n: syscall(N[n], *[long(0)] * 6) for n in PLAN["always"]}
REPORT["clone3"] = syscall(N["clone3"], long(0), long(0))
REPORT["later"] = [syscall(n, *[long(0)] * 6) for n in range(PLAN["last"] + 1, PLAN["last"] + 40)]
REPORT["clones"] = {f: cloned(int(f, 16)) for f in ("0", "20000", "2000000", "4000000", "8000000", "10000000", "20000000", "40000000")}
REPORT["families"] = {n: syscall(N["socket"], long(n), long(1), long(0)) for n in (1, 2, 10, 16)} | {
    f"other {n:#x}": syscall(N["socket"], long(n), long(5), long(0)) for n in (3, 17, 38, 40, 42, 1 << 32 | 40, 1 << 31, 64)}
REPORT["personalities"] = {f"{n:#x}": syscall(N["personality"], long(n)) for n in (0xFFFFFFFF, 0x40000, 0, 0x400000, 1 << 32 | 0x400000, 0x80400000)}
libc.personality(long(0))
main, side = os.openpty()
REPORT["terminal"] = {f"{n:#x}": call("ioctl", side, long(n), ctypes.create_string_buffer(64)) for n in (0x5413, 0x5412, 0x7F00005412, 0x541C, 0x5423)}
if os.uname().machine == "x86_64":
    REPORT["code"] = {"none": machine_code("90"), "ours": machine_code("b8270000000f05"),
                      "i386": machine_code("b814000000cd80"), "x32": machine_code("b8270000400f05")}
"""
"""Calls of the kernel, the same behind the walls and outside of them."""

ATTACKER = (
    """
REPORT["fds"] = {n: tried(lambda: os.readlink("/proc/self/fd/" + n)) for n in os.listdir("/proc/self/fd")}
"""
    + CALLS
    + """
import glob, resource, socket, stat, subprocess, time
def read(path):
    with open(path, "rb") as file:
        return file.read(4096).decode(errors="replace")
def opened(path):
    os.close(os.open(path, os.O_WRONLY))
REPORT["paths"] = {p: tried(lambda: os.listdir(p) if os.path.isdir(p) else read(p)) for p in PLAN["paths"]}
REPORT["up"] = {p: tried(lambda: sorted(os.listdir(p))) for p in (
    "/", "/../..", "/proc/self/root/..", "/proc/1/root", "/proc/1/root/../..", "/proc/1/cwd/../../..", "/home/agent/../../../..")}
def far():
    handle = os.open("/", os.O_PATH | os.O_DIRECTORY)
    for _ in range(32):
        handle = os.open("..", os.O_PATH | os.O_DIRECTORY, dir_fd=handle)
    return sorted(os.listdir(f"/proc/self/fd/{handle}"))
REPORT["up"]["by descriptor"] = tried(far)
REPORT["seen pids"] = [int(n) for n in os.listdir("/proc") if n.isdigit()]
REPORT["signals"] = {str(p): tried(lambda: os.kill(p, 0)) for p in PLAN["pids"]}
REPORT["ptrace"] = {str(p): call("ptrace", 16, p, 0, 0) for p in PLAN["pids"]}
buffer = ctypes.create_string_buffer(64)
class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
part = Iovec(ctypes.addressof(buffer), 64)
def read_memory(pid):
    return call("process_vm_readv", pid, ctypes.byref(part), long(1), ctypes.byref(part), long(1), long(0))
REPORT["memory"] = {str(p): read_memory(p) for p in PLAN["pids"]}
child = os.fork()
if child == 0:
    time.sleep(1000)
REPORT["own child"] = {"read": read_memory(child), "signal": tried(lambda: os.kill(child, 0)), "ptrace": call("ptrace", 16, child, 0, 0)}
os.kill(child, 9)
os.waitpid(child, 0)
def connect(family, address):
    with socket.socket(family) as s:
        s.settimeout(2)
        s.connect(address)
REPORT["sockets"] = {
    "abstract": tried(lambda: connect(socket.AF_UNIX, "\\0" + PLAN["abstract"])),
    "port": tried(lambda: connect(socket.AF_INET, ("127.0.0.1", PLAN["port"]))),
    "left for others": tried(lambda: socket.socket(socket.AF_UNIX).bind("/run/taskyard/mine.sock")),
    "in the place of the server's": tried(lambda: os.rename("/run/taskyard", "/run/x")),
    "own": tried(lambda: socket.socket(socket.AF_UNIX).bind("/tmp/own.sock"))}
REPORT["status"] = {n: status(n) for n in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")}
REPORT["setuid"] = {str(n): call("setuid", n) for n in (0, 1, 65534)} | {str(g): call("setgid", g) for g in (0, 65534)} | {
    "groups": call("setgroups", 0, None), "capset": syscall(N["capset"], ctypes.byref((ctypes.c_uint32 * 2)(0x20080522, 0)),
    ctypes.byref((ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)))}
found = [p for p in glob.glob("/usr/bin/*") + glob.glob("/usr/sbin/*")
         if not os.path.islink(p) and stat.S_ISREG(os.stat(p).st_mode) and os.stat(p).st_mode & 0o6000]
REPORT["setuid programs"] = len(found)
own = "/home/agent/own-id"
with open("/usr/bin/id", "rb") as source, open(own, "wb") as target:
    target.write(source.read())
os.chmod(own, 0o6755)
REPORT["own setuid"] = subprocess.run([own, "-u"], capture_output=True, text=True).stdout.strip()
su = subprocess.run(["/usr/bin/su", "-c", "id -u"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
REPORT["su"] = [su.returncode != 0, su.stdout]
def is_device(place):  # one of the harmless ones, or the empty one as a mask
    return not os.path.isdir(place) and os.path.exists(place) and os.stat(place).st_rdev != 0
options = [line.split()[4:6] for line in open("/proc/self/mountinfo")]
REPORT["may gain rights"] = [place for place, flags in options if "nosuid" not in flags.split(",") and not is_device(place)]
REPORT["may have devices"] = [place for place, flags in options if "nodev" not in flags.split(",") and "/dev/" not in place and not is_device(place)]
REPORT["devices"] = sorted(n for n in os.listdir("/dev") if not stat.S_ISLNK(os.lstat("/dev/" + n).st_mode))
REPORT["made devices"] = {w: tried(lambda: os.mknod(f"{w}/node", 0o666 | stat.S_IFCHR, os.makedev(1, 1))) for w in ("/tmp", "/home/agent", "/dev", "/dev/shm")}
writable = []
for top, _, names in os.walk("/proc/sys"):
    writable += [n for n in (f"{top}/{name}" for name in names) if tried(lambda: opened(n)).startswith("done")]
REPORT["sysctls"] = writable
REPORT["machine files"] = {p: tried(lambda: opened(p)) for p in (
    "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/modprobe", "/proc/self/uid_map", "/proc/self/setgroups", "/proc/1/mem", "/proc/kcore")}
REPORT["masked"] = {p: tried(lambda: read(p)) for p in PLAN["masked"]}
child = os.fork()
if child == 0:
    libc.raise_(11) if hasattr(libc, "raise_") else os.kill(os.getpid(), 11)
REPORT["core"] = [os.WCOREDUMP(os.waitpid(child, 0)[1]), resource.getrlimit(resource.RLIMIT_CORE),
                  tried(lambda: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)))]
REPORT["files"] = list(resource.getrlimit(resource.RLIMIT_NOFILE))
REPORT["oom"] = int(open("/proc/self/oom_score_adj").read())
REPORT["cgroup"] = {"path": open("/proc/self/cgroup").read().split(), "sys": tried(lambda: os.listdir("/sys"))}
REPORT["tty"] = tried(lambda: os.open("/dev/tty", os.O_RDWR))
REPORT["links"] = {p: tried(lambda: os.link(p, "/home/agent/linked")) for p in ("/usr/bin/id", "/etc/passwd", "/opt/template/program", "/run/taskyard")}
REPORT["links"]["own"] = tried(lambda: os.link(own, "/home/agent/linked"))
for number, path in enumerate(PLAN["paths"]):
    os.symlink(path, f"/home/agent/link-{number}")
os.symlink("/", "/home/agent/to-all")
REPORT["in etc"] = {p: tried(lambda: read("/etc/" + p)) for p in ("shadow", "machine-id", "hostname", "resolv.conf")}
"""
)


def numbers() -> dict[str, int]:
    """The number of each call that is named here, on this machine."""
    names = [name for rule in RULES for name in rule.names] + ["capset", "clone"]
    found = {n: pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, n) for n in names}
    return {name: number for name, number in found.items() if number >= 0}


def plan_of_calls() -> dict[str, Any]:
    """What CALLS must know."""
    known = numbers()
    always = [name for name in RULES[0].names if name in known]
    return {"numbers": known, "always": always, "last": LAST_KNOWN}


def calls_alone(body: str) -> str:
    """The runner with its program inside, which prints its report."""
    head = body.partition("HOME =")[0]
    return f"{head}\nexec({CALLS!r}, globals())\nprint(json.dumps(REPORT))"
