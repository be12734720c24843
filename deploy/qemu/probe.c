#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "machine.h"
#include "spawn.h"

enum { KVM_MS = 4000, TCG_MS = 60000, VERSION_MS = 10000, MEMORY_MIB = 192 };

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

const char *probe_qemu(char *text, size_t size)
{
    static const char *const argv[] = {MACHINE_QEMU, "--version", NULL};
    const struct spawn s = {
        .argv = argv, .text = text, .text_bytes = size, .ms = VERSION_MS};

    if (spawn_run(&s) != 0) {
        text[0] = '\0';
    }
    text[strcspn(text, "(\n")] = '\0';
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == ' ') {
        text[--n] = '\0';
    }
    return text;
}

static bool absent(const char *accel, struct probe *p)
{
    if (!spawn_there(MACHINE_QEMU)) {
        snprintf(p->why, sizeof p->why, "no %s", MACHINE_QEMU);
        return true;
    }
    if (strcmp(accel, "kvm") != 0) {
        return false;
    }
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        snprintf(p->why, sizeof p->why, "/dev/kvm: %s", strerror(errno));
        return true;
    }
    close(fd);
    return false;
}

/* The first line that QEMU wrote, without its name. */
static void explain(struct probe *p, int ms, char *said)
{
    static const char name[] = MACHINE_QEMU ": ";
    const size_t skip =
        strncmp(said, name, sizeof name - 1) == 0 ? sizeof name - 1 : 0;

    said[strcspn(said, "\n")] = '\0';
    if (p->took_ns / 1000000 >= (uint64_t)ms) {
        snprintf(p->why, sizeof p->why, "a guest does not come up in %d s",
                 ms / 1000);
    } else {
        snprintf(p->why, sizeof p->why, "QEMU gives up on a guest (%.150s)",
                 said[skip] != '\0' ? said + skip : "without a word");
    }
}

void probe_boot(const struct image *image, const char *cache, const char *accel,
                struct probe *p)
{
    static struct machine_args args;
    char console[KERNEL_PATH_MAX];
    const struct machine m = {.name = "probe",
                              .accel = accel,
                              .kernel = image->kernel.image,
                              .initrd = image->path,
                              .memory_mib = MEMORY_MIB,
                              .console = console,
                              .link_fd = -1,
                              .events_fd = -1};
    union {
        char **in;
        const char *const *out;
    } argv = {.in = args.argv};

    *p = (struct probe){.end = PROBE_ABSENT};
    snprintf(console, sizeof console, "%.3000s/probe.%ld", cache,
             (long)getpid());
    if (absent(accel, p) || !machine_args(&m, &args)) {
        return;
    }
    const bool kvm = strcmp(accel, "kvm") == 0;
    const int ms = kvm ? KVM_MS : TCG_MS;
    char said[512] = "";
    const uint64_t from = now_ns();
    int code = spawn_run(&(struct spawn){.argv = argv.out,
                                         .text = said,
                                         .text_bytes = sizeof said,
                                         .errors = true,
                                         .ms = ms});
    p->took_ns = now_ns() - from;
    (void)unlink(console);
    /* isa-debug-exit: code * 2 + 1 */
    p->end = code == GUEST_PROBE_CODE * 2 + 1 ? PROBE_BOOTS : PROBE_FAILS;
    if (p->end == PROBE_FAILS) {
        explain(p, ms, said);
    }
}

/* ---- kept ------------------------------------------------------------------
 */

static void note_name(const char *cache, char path[KERNEL_PATH_MAX])
{
    char version[128];
    struct utsname u = {0};

    (void)uname(&u);
    (void)probe_qemu(version, sizeof version);
    const char *number = strrchr(version, ' ');
    snprintf(path, KERNEL_PATH_MAX, "%.3000s/accel-%.64s-%.64s", cache,
             u.release, number == NULL ? "none" : number + 1);
}

const char *probe_accel(const struct image *image, const char *cache,
                        bool *known)
{
    char path[KERNEL_PATH_MAX];
    char text[8] = "";
    struct probe p;

    note_name(cache, path);
    FILE *f = fopen(path, "re");
    *known = f != NULL && fgets(text, sizeof text, f) != NULL;
    if (f != NULL) {
        fclose(f);
    }
    if (*known) {
        return strcmp(text, "kvm\n") == 0 ? "kvm" : "tcg";
    }
    probe_boot(image, cache, "kvm", &p);
    const char *accel = p.end == PROBE_BOOTS ? "kvm" : "tcg";
    if (p.end != PROBE_ABSENT && (f = fopen(path, "we")) != NULL) {
        fprintf(f, "%s\n", accel);
        fclose(f);
    }
    return accel;
}
