"""The guest where user-mode Linux is not to be had: Debian's own kernel in QEMU's microvm, without KVM.

It boots the same root and speaks through the same tap device; the host's folders come by 9p instead of hostfs. Every
instruction is translated, so a guest of this kind takes several times as long for everything.
"""

from __future__ import annotations

import ctypes
import mmap
import re
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

KERNEL_PACKAGE = "linux-image-amd64"
"""Not the smaller linux-image-cloud-amd64: that one has neither PPP nor 9p."""

SHELL_PACKAGE = "busybox-static"
HOST_TOOLS = {"qemu-system-x86_64": "qemu-system-x86"}
INTERFACE = "eth0"
BOOT_LIMIT_SECONDS = 180

# Nothing on the host changes under a running guest, so all that was read once may be kept.
_NINE_P = "trans=virtio,version=9p2000.L,msize=512000,cache=loose"
LAB_MOUNT = f"mount -r -t 9p -o {_NINE_P} lab /lab"

BOOT_MODULES = ("virtio_mmio", "9pnet_virtio", "9p", "virtio_net", "virtio_rng")
"""What Debian's kernel needs before it can see its root; modprobe finds what these need in turn."""

INITRAMFS_INIT = f"""\
#!/busybox sh
# Process 1 until the root is there.
for module in /modules/*; do /busybox insmod "$module"; done
/busybox mount -r -t 9p -o {_NINE_P} root /root
exec /busybox switch_root /root /sbin/lab-init
"""

RECIPE = "\n".join([KERNEL_PACKAGE, SHELL_PACKAGE, *BOOT_MODULES, INITRAMFS_INIT])
"""All of the above that a built lab depends on."""

Run = Callable[..., str]
"""`build.run`."""


def unpack_kernel(staging: Path, run: Run) -> str:
    """Download Debian's kernel and a static shell and unpack both under `staging`; the kernel's release."""
    depends = run(["apt-cache", "depends", "--important", KERNEL_PACKAGE])
    image = next(name for name in depends.split() if re.match(r"linux-image-\d", name))
    for package in (image, SHELL_PACKAGE):
        run(["apt-get", "download", package], cwd=staging)
        file = next(staging.glob(f"{package}_*.deb"))
        run(["dpkg-deb", "-x", str(file), str(staging / "qemu")])
        file.unlink()
    release = image.removeprefix("linux-image-")
    (staging / "qemu/boot" / f"vmlinuz-{release}").rename(staging / "qemu/kernel")
    return release


def modules(staging: Path, release: str) -> Path:
    """Where the unpacked kernel's modules are."""
    return staging / "qemu/lib/modules" / release


def make_initramfs(staging: Path, release: str, run: Run) -> None:
    """Write the small first root, once the root itself has its modules.

    The modules in it are named by their order, as `insmod` looks for nothing by itself.
    """
    root, first = staging / "rootfs", staging / "initramfs"
    for name in ("modules", "root", "dev"):
        (first / name).mkdir(parents=True)
    shutil.copy(staging / "qemu/bin/busybox", first / "busybox")
    (first / "init").write_text(INITRAMFS_INIT)
    (first / "init").chmod(0o755)
    shown = run(["chroot", str(root), "modprobe", "-S", release, "-a", "--show-depends", *BOOT_MODULES])
    needed = dict.fromkeys(line.split()[1] for line in shown.splitlines() if line.startswith("insmod "))
    for number, module in enumerate(needed):
        shutil.copy(root / module.lstrip("/"), first / "modules" / f"{number:02}-{Path(module).name}")
    busybox, made = shlex.quote(str(first / "busybox")), shlex.quote(str(staging / "qemu/initramfs"))
    run(["sh", "-c", f"find . | {busybox} cpio -o -H newc > {made}"], cwd=first)
    shutil.rmtree(first)
    shutil.rmtree(staging / "qemu/lib")


def mounts(visible: Sequence[Path]) -> str:
    """The script, for the guest, that mounts the host's folders at the same paths."""
    return "\n".join(
        f"mkdir -p {path} && mount -r -t 9p -o {_NINE_P} share{number} {path}"
        for number, path in enumerate(map(shlex.quote, map(str, visible)))
    )


def tsc_khz() -> int:
    """The rate of the processor's time-stamp counter, in kHz, measured over 50 ms.

    The emulated processor shows the host's counter, and a microvm with ACPI has no other clock to measure it by:
    Debian's kernel would wait for its first tick for ever. Without ACPI, that kernel finds no virtio device.
    """
    # rdtsc; shl rdx, 32; or rax, rdx; ret
    code = bytes.fromhex("0f31 48c1e220 4809d0 c3")
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    began, first = time.monotonic_ns(), read()
    time.sleep(0.05)
    last, ended = read(), time.monotonic_ns()
    ticks: int = last - first
    return ticks * 1_000_000 // (ended - began)


def command(kernel: Path, rootfs: Path, folder: Path, visible: Sequence[Path], memory: str) -> list[str]:
    """The command line that runs the guest, in a network namespace that has tap0.

    `kernel` lies beside its initramfs; `folder` is the session's, where the process leaves its pid.
    """
    (folder / "lab").mkdir()
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    # ACPI describes the virtio devices to the kernel, and powers off. `max` has RDRAND, for os.urandom at once.
    argv += ["-M", "microvm,acpi=on,rtc=on", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", memory]
    argv += ["-pidfile", str(folder / "lab/pid"), "-serial", "stdio"]
    argv += ["-kernel", str(kernel), "-initrd", str(kernel.with_name("initramfs"))]
    argv += ["-append", f"console=ttyS0 quiet panic=1 mitigations=off random.trust_cpu=on tsc_early_khz={tsc_khz()}"]
    argv += ["-netdev", "tap,id=wire,ifname=tap0,script=no,downscript=no,vnet_hdr=on"]
    argv += ["-device", "virtio-net-device,netdev=wire", "-device", "virtio-rng-device"]
    shares = {"root": rootfs, "lab": folder, **{f"share{number}": path for number, path in enumerate(visible)}}
    for tag, path in shares.items():
        # A comma within a value is written twice.
        share = str(path).replace(",", ",,")
        argv += ["-fsdev", f"local,id={tag},path={share},security_model=none,readonly=on,multidevs=remap"]
        argv += ["-device", f"virtio-9p-device,fsdev={tag},mount_tag={tag}"]
    return argv
