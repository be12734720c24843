#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/qemu/machine.h"
#include "deploy/qemu/probe.h"
#include "deploy/qemu/qmp.h"
#include "deploy/qemu/spawn.h"
#include "ground.h"
#include "guest_image.h"
#include "network.h"
#include "say.h"
#include "units.h"

/* A virtual machine for each site, joined by the switch. The process of a site
 * is its runner (deploy/qemu/runner.c), QEMU a child of that. */

enum {
    MEMORY_MIB = 192,
    QMP_MS = 5000,
    RESET_MS = 10000,
    SNAPSHOT_MS = 60000,
};

#define USER_GUEST "10.0.2.15" /* what QEMU's user network expects */

/* What guests start from: the same for all that this run starts. */
static struct {
    struct guest_image guest;
    const char *accel;
    bool ready;
} base;

static enum exit_code check(void)
{
    char path[PATH_BYTES];

#if !defined(__x86_64__)
    say_error("guests run on x86-64 only");
    return EXIT_FAILED;
#endif
    if (!spawn_there(MACHINE_QEMU)) {
        say_error("no %s: QEMU is not installed", MACHINE_QEMU);
        say_hint("apt-get install qemu-system-x86");
        say_hint("or without machines: --on host");
        return EXIT_FAILED;
    }
    return process_find("motet-guest", path) &&
                   process_find("motet-init", path) &&
                   process_find("motetd-static", path)
               ? EXIT_DONE
               : EXIT_FAILED;
}

static void tell_why(const char *why)
{
    const size_t first = strcspn(why, "\n");

    say_error("%.*s", (int)first, why);
    if (why[first] == '\n') {
        say_hint("%s", why + first + 1);
    }
}

static bool make_base(const char *object)
{
    struct image *image = &base.guest.image;
    char why[KERNEL_WHY_MAX] = "";
    char size[UNIT_TEXT_MAX];
    char took[UNIT_TEXT_MAX];
    char text[256];
    const uint64_t from = clock_ns();
    bool known;

    if (base.ready) {
        return true;
    }
    if (check() != EXIT_DONE) {
        return false;
    }
    if (!guest_image_make(&base.guest, object, why)) {
        tell_why(why);
        return false;
    }
    snprintf(text, sizeof text, "kernel %s, initramfs %s%s",
             image->kernel.version, unit_bytes(image->bytes, size),
             image->cached ? " (cached)" : "");
    say("  ok  %-13s %-46s %9s", "image", text,
        unit_ns(clock_ns() - from, took));
    base.accel = probe_accel(image, base.guest.cache, &known);
    if (!known && strcmp(base.accel, "tcg") == 0) {
        say("  !!  accelerator   no guest boots with KVM here: tcg, which is "
            "slower; see: motet doctor");
    }
    base.ready = true;
    return true;
}

/* ---- start -----------------------------------------------------------------
 */

struct paths {
    char card[PATH_BYTES]; /* socket of the guest's network card */
    char port[PATH_BYTES]; /* of the switch */
    char qmp[PATH_BYTES];  /* commands to QEMU */
    char console[PATH_BYTES];
    char core[PATH_BYTES];
};

/* Those in the run folder are no longer than the site's socket, which fits. */
static void paths_of(const struct site_files *site, struct paths *p)
{
    (void)ground_beside(p->card, site->pid, ".nic");
    (void)ground_beside(p->port, site->pid, ".net");
    (void)ground_beside(p->qmp, site->pid, ".qmp");
    (void)ground_beside(p->console, site->log, ".console");
    (void)ground_beside(p->core, site->log, ".core");
}

static bool plug(struct cluster *c, const struct site_files *site,
                 const struct paths *p)
{
    struct network n;

    (void)unlink(p->port);
    return network_open(c, &n) && network_ask(&n, NULL, "port %s dgram %s %s",
                                              site->name, p->port, p->card);
}

/* One that has died is started anew; guests that run are plugged in again. */
static bool start_switch(struct cluster *c)
{
    struct network n;
    bool ok = network_open(c, &n);

    if (!ok || n.running) {
        return ok;
    }
    ok = network_start(&n, NETWORK_SWITCH, n.seed);
    for (size_t i = 0; ok && i < c->count; i++) {
        const struct site_files *s = &c->sites[i];
        struct paths p;
        paths_of(s, &p);
        ok = !s->running || s->ground != &ground_qemu || s->user_net ||
             plug(c, s, &p);
    }
    return ok;
}

static bool prepare(struct cluster *c)
{
    const char *object = NULL; /* one for all, in a run */
    bool switched = false;

    for (size_t i = 0; i < c->count; i++) {
        const struct site_files *s = &c->sites[i];
        switched =
            switched || (s->ground == &ground_qemu && ground_is_switched(s));
        object = object != NULL ? object : s->object;
    }
    return make_base(object) && (!switched || start_switch(c));
}

static bool run(struct site_files *site, struct paths *p, const char *from)
{
    char program[PATH_BYTES];
    char address[ADDRESS_MAX];
    char number[16];
    char memory[16];
    const char *port = strchr(site->address, ':');
    const char *const words[] = {program,
                                 "--name",
                                 site->name,
                                 "--conf",
                                 site->conf,
                                 "--address",
                                 address,
                                 "--number",
                                 number,
                                 "--accel",
                                 base.accel,
                                 "--kernel",
                                 base.guest.image.kernel.image,
                                 "--initrd",
                                 base.guest.image.path,
                                 "--memory-mib",
                                 memory,
                                 "--net-local",
                                 p->card,
                                 "--net-remote",
                                 p->port,
                                 "--console",
                                 p->console,
                                 "--log",
                                 site->log,
                                 "--core",
                                 p->core,
                                 "--qmp",
                                 p->qmp,
                                 from != NULL ? "--incoming" : "--name",
                                 from != NULL ? from : site->name,
                                 site->folder != NULL ? "--folder" : "--name",
                                 site->folder != NULL ? site->folder
                                                      : site->name,
                                 site->user_net ? "--user-port" : NULL,
                                 port != NULL ? port + 1 : "",
                                 NULL};
    union {
        const char *const *in;
        char *const *out; /* execv() changes nothing */
    } argv = {.in = words};

    snprintf(address, sizeof address, "%s",
             site->user_net ? USER_GUEST : site->address);
    address[strcspn(address, ":")] = '\0';
    snprintf(number, sizeof number, "%u",
             site->user_net ? 1 : network_number(site));
    snprintf(memory, sizeof memory, "%u",
             site->memory_mib > 0 ? site->memory_mib : MEMORY_MIB);
    return process_find("motet-guest", program) &&
           process_start(argv.out, site->log, site->pid, &site->process);
}

/* What the last life left: a core that says something is kept. */
static void put_away(const struct paths *p)
{
    char kept[PATH_BYTES];
    FILE *f = fopen(p->core, "re");

    if (f != NULL) {
        const bool some = fgetc(f) != EOF;
        fclose(f);
        if (some) {
            (void)rename(p->core, ground_beside(kept, p->core, ".core.old"));
        }
    }
}

static bool start_from(struct cluster *c, struct site_files *site,
                       const char *file)
{
    struct paths p;

    paths_of(site, &p);
    put_away(&p);
    return folder_make(site->state, 0700) &&
           (site->user_net || plug(c, site, &p)) && run(site, &p, file);
}

static bool start(struct cluster *c, struct site_files *site)
{
    return start_from(c, site, NULL);
}

/* ---- hold ------------------------------------------------------------------
 */

static bool command(const struct site_files *site, const char *name)
{
    char path[PATH_BYTES];
    char why[QMP_WHY_MAX] = "";
    struct qmp *q =
        qmp_open(ground_beside(path, site->pid, ".qmp"), QMP_MS, why);
    const bool ok = q != NULL && qmp_command(q, name, NULL, QMP_MS, why);

    qmp_close(q);
    if (!ok) {
        say_error("%s: the machine does not take \"%s\": %s", site->name, name,
                  why);
        say_hint("see: motet site logs %s", site->name);
    }
    return ok;
}

/* The machine stands still, its clocks too; its runner as well, so that what
 * attaches waits, as with a process. */
static bool pause_site(struct site_files *site)
{
    return command(site, "stop") && process_signal(&site->process, SIGSTOP);
}

static bool resume_site(struct site_files *site)
{
    return process_signal(&site->process, SIGCONT) && command(site, "cont");
}

static bool reset_site(struct site_files *site)
{
    char path[PATH_BYTES];
    char why[QMP_WHY_MAX] = "";
    struct qmp *q =
        qmp_open(ground_beside(path, site->pid, ".qmp"), QMP_MS, why);

    /* Otherwise a reset is the end: a guest that panics must not start again by
     * itself. The runner takes it back when the guest has booted: the firmware
     * resets once more on its way. */
    bool ok = q != NULL &&
              qmp_command(q, "set-action",
                          json_pack("{s:s}", "reboot", "reset"), QMP_MS, why) &&
              qmp_command(q, "system_reset", NULL, QMP_MS, why) &&
              qmp_event(q, "RESET", RESET_MS, why);
    qmp_close(q);
    if (!ok) {
        say_error("%s: the machine is not reset: %s", site->name, why);
        say_hint("start it anew: motet site restart %s", site->name);
    }
    return ok;
}

/* ---- snapshots -------------------------------------------------------------
 */

/* Waits until the machine is written. @return false and `why` */
static bool wait_written(struct qmp *q, char *why)
{
    const uint64_t end = clock_ns() + SNAPSHOT_MS * 1000000ULL;
    char status[32] = "";

    while (clock_ns() < end) {
        if (!qmp_ask(q, "query-migrate", "status", status, sizeof status,
                     QMP_MS, why)) {
            return false;
        }
        if (strcmp(status, "completed") == 0) {
            return true;
        }
        if (strcmp(status, "failed") == 0) {
            break;
        }
        clock_sleep(20000000);
    }
    snprintf(why, QMP_WHY_MAX, "writing it %s",
             strcmp(status, "failed") == 0 ? "failed" : "takes too long");
    return false;
}

static bool snapshot_site(struct site_files *site, const char *file)
{
    char path[PATH_BYTES];
    char fresh[PATH_BYTES];
    char uri[PATH_BYTES + 32];
    char why[QMP_WHY_MAX] = "";
    struct qmp *q =
        qmp_open(ground_beside(path, site->pid, ".qmp"), QMP_MS, why);

    snprintf(fresh, sizeof fresh, "%.4000s.new", file);
    snprintf(uri, sizeof uri, "exec:cat > '%s'", fresh);
    bool ok = q != NULL &&
              qmp_command(q, "migrate", json_pack("{s:s}", "uri", uri), QMP_MS,
                          why) &&
              wait_written(q, why);
    if (q != NULL) { /* it stands still at the end, and where it failed runs */
        char unheard[QMP_WHY_MAX];
        ok = qmp_command(q, "cont", NULL, QMP_MS, ok ? why : unheard) && ok;
    }
    qmp_close(q);
    if (ok && rename(fresh, file) != 0) {
        snprintf(why, sizeof why, "%s", strerror(errno));
        ok = false;
    }
    if (!ok) {
        (void)unlink(fresh);
        say_error("%s: no snapshot: %s", site->name, why);
        say_hint("is there room for its memory? df");
    }
    return ok;
}

/* ---- end -------------------------------------------------------------------
 */

static void leave(struct site_files *site)
{
    if (site->process.stopped) {
        (void)resume_site(site);
    }
    (void)process_signal(&site->process, SIGTERM);
}

/* QEMU dies just after its runner, and until then it writes. */
static void rest(const struct site_files *site)
{
    enum { TRIES = 400 };
    char path[PATH_BYTES];
    struct qmp *q;
    char why[QMP_WHY_MAX];

    (void)ground_beside(path, site->pid, ".qmp");
    for (int i = 0; i < TRIES && (q = qmp_open(path, QMP_MS, why)) != NULL;
         i++) {
        qmp_close(q);
        clock_sleep(5000000);
    }
}

static void clean(struct cluster *c, struct site_files *site)
{
    struct paths p;
    struct network n;

    paths_of(site, &p);
    (void)unlink(p.card);
    (void)unlink(p.qmp);
    if (!site->user_net && network_open(c, &n) && n.running &&
        !network_ask(&n, NULL, "unport %s", site->name)) {
        say_hint("%s leaves its port behind", site->name);
    }
    (void)unlink(p.port);
}

const struct ground ground_qemu = {
    .name = "qemu",
    .kind = "QEMU",
    .timeout_ns = 120000000000,
    .switched = true,
    .check = check,
    .prepare = prepare,
    .start = start,
    .pause = pause_site,
    .resume = resume_site,
    .reset = reset_site,
    .snapshot = snapshot_site,
    .restore = start_from,
    .leave = leave,
    .rest = rest,
    .clean = clean,
};
