#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "guest.h"

enum { TB_MIB = 64 }; /* translated code; more was not faster */

__attribute__((format(printf, 2, 3))) static bool put(struct machine_args *a,
                                                      const char *format, ...)
{
    va_list args;
    const size_t room = sizeof a->text - a->used;

    va_start(args, format);
    int n = vsnprintf(a->text + a->used, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room || a->count + 1 == MACHINE_WORDS_MAX) {
        return false;
    }
    a->argv[a->count++] = a->text + a->used;
    a->argv[a->count] = NULL;
    a->used += (size_t)n + 1;
    return true;
}

static bool put_words(struct machine_args *a, const char *const words[],
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!put(a, "%s", words[i])) {
            return false;
        }
    }
    return true;
}

/* Ticks of the clock of this CPU in a millisecond, measured for 50 ms. */
static unsigned long cpu_khz(void)
{
#if defined(__x86_64__)
    enum { MEASURE_NS = 50000000 };
    struct timespec from;
    struct timespec now;
    long long ns;

    (void)clock_gettime(CLOCK_MONOTONIC_RAW, &from);
    const unsigned long long first = __rdtsc();
    do {
        (void)clock_gettime(CLOCK_MONOTONIC_RAW, &now);
        ns = (now.tv_sec - from.tv_sec) * 1000000000LL + now.tv_nsec -
             from.tv_nsec;
    } while (ns < MEASURE_NS);
    return (unsigned long)((__rdtsc() - first) * 1000000ULL /
                           (unsigned long long)ns);
#else
    return 0;
#endif
}

/* Guests that boot together on a busy machine measure the clock of the CPU
 * wrongly, and some find no timer: they are told. */
static bool put_kernel(const struct machine *m, struct machine_args *a)
{
    static const char common[] = "console=ttyS0 quiet panic=-1 "
                                 "mitigations=off ipv6.disable=1";
    const char *probe = m->link_fd < 0 ? " " GUEST_WORD_PROBE : "";
    const bool tcg = strcmp(m->accel, "tcg") == 0;

    if (!put(a, "-kernel") || !put(a, "%s", m->kernel) || !put(a, "-initrd") ||
        !put(a, "%s", m->initrd) || !put(a, "-append")) {
        return false;
    }
    return tcg ? put(a,
                     "%s no_timer_check tsc_early_khz=%lu tsc=reliable "
                     "random.trust_cpu=on%s",
                     common, cpu_khz(), probe)
               : put(a, "%s%s", common, probe);
}

static bool put_ports(const struct machine *m, struct machine_args *a)
{
    return put(a, "-device") && put(a, "virtio-serial-pci") &&
           put(a, "-chardev") && put(a, "socket,id=link,fd=%d", m->link_fd) &&
           put(a, "-device") &&
           put(a, "virtserialport,chardev=link,name=" GUEST_PORT_LINK) &&
           put(a, "-chardev") &&
           put(a, "file,id=log,append=on,path=%s", m->log) &&
           put(a, "-device") &&
           put(a, "virtserialport,chardev=log,name=" GUEST_PORT_LOG) &&
           put(a, "-chardev") && put(a, "file,id=core,path=%s", m->core) &&
           put(a, "-device") &&
           put(a, "virtserialport,chardev=core,name=" GUEST_PORT_CORE) &&
           (m->events == NULL ||
            (put(a, "-chardev") &&
             put(a, "file,id=seen,append=on,path=%s", m->events) &&
             put(a, "-device") &&
             put(a, "virtserialport,chardev=seen,name=" GUEST_PORT_EVENTS)));
}

static bool put_network(const struct machine *m, struct machine_args *a)
{
    const bool ok =
        put(a, "-netdev") &&
        (m->user_port > 0 ? put(a, "user,id=net,hostfwd=tcp:127.0.0.1:%u-:%u",
                                m->user_port, m->user_port)
                          : put(a,
                                "dgram,id=net,local.type=unix,local.path=%s,"
                                "remote.type=unix,remote.path=%s",
                                m->net_local, m->net_remote));
    return ok && put(a, "-device") &&
           put(a, "virtio-net-pci,netdev=net,romfile=,mac=52:54:00:77:00:%02x",
               m->number);
}

static bool put_qmp(const struct machine *m, struct machine_args *a)
{
    bool ok = true;

    if (m->events_fd >= 0) {
        ok = put(a, "-chardev") &&
             put(a, "socket,id=events,fd=%d", m->events_fd) && put(a, "-mon") &&
             put(a, "chardev=events,mode=control");
    }
    if (ok && m->qmp != NULL) {
        ok = put(a, "-qmp") && put(a, "unix:%s,server=on,wait=off", m->qmp);
    }
    return ok;
}

bool machine_args(const struct machine *m, struct machine_args *a)
{
    static const char *const fixed[] = {"-M",
                                        "q35",
                                        "-smp",
                                        "1",
                                        "-nodefaults",
                                        "-no-user-config",
                                        "-display",
                                        "none",
                                        "-no-reboot",
                                        "-device",
                                        "isa-debug-exit,iobase=0x501,iosize=2"};
    const bool tcg = strcmp(m->accel, "tcg") == 0;

    a->count = 0;
    a->used = 0;
    bool ok =
        put(a, MACHINE_QEMU) && put(a, "-name") && put(a, "%s", m->name) &&
        put(a, "-accel") &&
        (tcg ? put(a, "tcg,tb-size=%d", TB_MIB) : put(a, "%s", m->accel)) &&
        put(a, "-cpu") && put(a, "%s", tcg ? "max" : "host") && put(a, "-m") &&
        put(a, "%u", m->memory_mib) && put_words(a, fixed, ARRAY_LEN(fixed)) &&
        put(a, "-chardev") &&
        put(a, "file,id=console,append=on,path=%s", m->console) &&
        put(a, "-serial") && put(a, "chardev:console") && put_kernel(m, a) &&
        put_qmp(m, a) &&
        (m->incoming == NULL ||
         (put(a, "-incoming") && put(a, "exec:cat '%s'", m->incoming)));
    if (ok && m->link_fd >= 0) {
        ok = put_ports(m, a) && (m->number == 0 || put_network(m, a));
    }
    return ok;
}
