#include <stdio.h>
#include <string.h>

#include "deploy/qemu/machine.h"
#include "deploy/qemu/probe.h"
#include "deploy/qemu/spawn.h"
#include "doctor.h"
#include "guest_image.h"
#include "units.h"

/* What is tried of QEMU: a guest is booted, with KVM and without. */

static struct guest_image guest;
static bool made;

static void look_qemu(struct finding *f)
{
    char version[128];

    (void)probe_qemu(version, sizeof version);
    finding_set(f, version[0] != '\0' ? FINDING_OK : FINDING_NO, "%s",
                version[0] != '\0' ? version : "no " MACHINE_QEMU);
    if (version[0] == '\0') {
        finding_todo(f, "apt-get install qemu-system-x86");
    }
}

static void look_unpackers(struct finding *f)
{
    const bool there = spawn_there("lz4");

    finding_set(f, there ? FINDING_OK : FINDING_WARN,
                there ? "lz4 unpacks the kernel of guests"
                      : "no lz4: guests unpack their kernel at each boot");
    if (!there) {
        finding_todo(f, "apt-get install lz4");
    }
}

static void look_image(struct finding *f)
{
    char why[KERNEL_WHY_MAX] = "";
    char size[UNIT_TEXT_MAX];

    made = guest_image_make(&guest, NULL, why);
    if (made) {
        finding_set(f, FINDING_OK, "kernel %.40s, initramfs %s%s",
                    guest.image.kernel.version,
                    unit_bytes(guest.image.bytes, size),
                    guest.image.cached ? " (cached)" : "");
        return;
    }
    const size_t first = strcspn(why, "\n");
    finding_set(f, FINDING_NO, "%.*s", (int)first, why);
    finding_todo(f, "%s", why[first] == '\n' ? why + first + 1 : "");
}

static bool boot(const char *accel, struct finding *f)
{
    struct probe p;
    char took[UNIT_TEXT_MAX];

    if (!made) {
        finding_set(f, FINDING_NO, "not tried: there is no image");
        return false;
    }
    probe_boot(&guest.image, guest.cache, accel, &p);
    if (p.end == PROBE_BOOTS) {
        finding_set(f, FINDING_OK, "a guest boots in %s",
                    unit_ns(p.took_ns, took));
        return true;
    }
    finding_set(f, p.end == PROBE_ABSENT ? FINDING_NO : FINDING_WARN, "%s%s",
                p.end == PROBE_FAILS ? "/dev/kvm opens, but " : "", p.why);
    return false;
}

static void look_kvm(struct finding *f)
{
    if (!boot("kvm", f)) {
        finding_todo(f, "none needed: --on qemu uses tcg, which is slower");
    }
}

static void look_tcg(struct finding *f)
{
    if (!boot("tcg", f)) {
        f->state = FINDING_NO;
        finding_todo(f, "no guest runs here; use --on host");
    }
}

const struct doctor_check doctor_qemu[] = {
    {"qemu", "qemu", look_qemu},   {"lz4", "", look_unpackers},
    {"image", "qemu", look_image}, {"kvm", "", look_kvm},
    {"tcg", "qemu", look_tcg},
};
const size_t doctor_qemu_count = sizeof doctor_qemu / sizeof *doctor_qemu;
