#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agree.h"
#include "ground.h"
#include "launch.h"
#include "say.h"
#include "units.h"
#include "verbs.h"

/* motet site snapshot, restore: the whole of a machine in a file, and back. */

enum { GRACE_NS = 2000000000 };

/* The site that is meant, on a ground that can. */
static enum exit_code open_machine(const char *name, struct cluster *c,
                                   struct site_files **site)
{
    const enum exit_code code = cluster_choose_site(c, name, site);

    if (code == EXIT_DONE && (*site)->ground->snapshot == NULL) {
        say_error("%s is no machine: a %s site", name, (*site)->ground->kind);
        say_hint("machines: motet up --on qemu");
        cluster_close(c);
        return EXIT_USAGE;
    }
    return code;
}

/* From the root: it is read and written by programs elsewhere, by way of a
 * shell. */
static enum exit_code file_of(const struct site_files *site, const char *word,
                              char file[PATH_BYTES])
{
    char here[PATH_BYTES] = "";
    bool ok = true;

    if (word == NULL) {
        (void)ground_beside(file, site->log, ".snapshot");
    } else if (word[0] == '/') {
        ok = snprintf(file, PATH_BYTES, "%s", word) < PATH_BYTES;
    } else {
        ok = getcwd(here, sizeof here) != NULL &&
             path_join(file, here, word, NULL);
    }
    if (!ok || strchr(file, '\'') != NULL || strlen(file) > 4000) {
        say_error("%.100s: cannot be the name of a snapshot", word);
        say_hint("shorter, and without a quote");
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static enum exit_code snapshot_run(char **args, unsigned count)
{
    char file[PATH_BYTES];
    char took[UNIT_TEXT_MAX];
    struct cluster c;
    struct site_files *site;
    const uint64_t from = clock_ns();

    enum exit_code code = open_machine(args[0], &c, &site);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!site->running || site->process.stopped) {
        code = say_fail(EXIT_NO_CLUSTER, "it is not running");
        say_hint("start it: motet site restart %s, or resume", site->name);
    } else {
        code = file_of(site, count > 1 ? args[1] : NULL, file);
    }
    if (code == EXIT_DONE && !site->ground->snapshot(site, file)) {
        code = EXIT_FAILED;
    }
    if (code == EXIT_DONE) {
        say("%s is kept in %s (%s)", site->name, file,
            unit_ns(clock_ns() - from, took));
        say("  back to it: motet site restore %s%s%s", site->name,
            count > 1 ? " " : "", count > 1 ? args[1] : "");
    }
    cluster_close(&c);
    return code;
}

/* Whether what is restored is taken back is the cluster's affair: the others
 * may hold that life of it for dead. Here it is enough that it answers. */
static enum exit_code restore(struct cluster *c, struct site_files *site,
                              const char *file)
{
    struct agree a;
    char took[UNIT_TEXT_MAX];

    if (!launch_folders(c) || !launch_stop(c, site, GRACE_NS) ||
        !launch_prepare(c) || !site->ground->restore(c, site, file)) {
        return EXIT_FAILED;
    }
    site->running = true;
    cluster_count(c);
    if (!launch_keep(c)) {
        return EXIT_FAILED;
    }
    const enum exit_code code = launch_await(c, "", &a);
    if (code == EXIT_DONE) {
        say("%s goes on from %s (pid %d): %llu of %zu alive after %s",
            site->name, file, (int)site->process.pid,
            (unsigned long long)a.alive, c->running, unit_ns(a.took_ns, took));
    }
    return code;
}

static enum exit_code restore_run(char **args, unsigned count)
{
    char file[PATH_BYTES];
    struct cluster c;
    struct site_files *site;

    enum exit_code code = open_machine(args[0], &c, &site);
    if (code != EXIT_DONE) {
        return code;
    }
    code = file_of(site, count > 1 ? args[1] : NULL, file);
    if (code == EXIT_DONE && access(file, R_OK) != 0) {
        say_error("no snapshot %.300s", file);
        say_hint("make one: motet site snapshot %s", site->name);
        code = EXIT_MISSING;
    }
    if (code == EXIT_DONE) {
        code = restore(&c, site, file);
    }
    cluster_close(&c);
    return code;
}

const struct verb verb_site_snapshot = {
    .name = "site snapshot",
    .args = "NAME [FILE]",
    .args_min = 1,
    .args_max = 2,
    .run = snapshot_run,
    .summary = "keep the whole of its machine in a file (qemu)",
    .examples = "  motet site snapshot site2; motet site restore site2\n",
    .exits = "0 1 2 3 7",
};

const struct verb verb_site_restore = {
    .name = "site restore",
    .args = "NAME [FILE]",
    .args_min = 1,
    .args_max = 2,
    .run = restore_run,
    .summary = "let its machine go on from such a file",
    .examples = "  motet site restore site2\n",
    .exits = "0 1 2 3 7 10",
};
