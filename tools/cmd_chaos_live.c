#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chaos_site.h"
#include "ground.h"
#include "launch.h"
#include "say.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet chaos add, clear, and active: faults by hand on a cluster that runs.
 * Each has a name and an end: a process of its own waits for that end and
 * undoes the fault, whatever becomes of the terminal. In the folder of sockets
 * it keeps chaos-NAME.pid and chaos-NAME.fault (what it is, and when it ends).
 */

#define FOR_DEFAULT_NS 60000000000ULL
#define GRACE_NS 2000000000ULL

enum { NUMBERS_MAX = 1000, SITES_AT_ONCE = 32, HELD_TEXT_MAX = 256 };

static struct add {
    uint64_t for_ns;
} add = {.for_ns = FOR_DEFAULT_NS};

/* A fault on its sites. */
struct held {
    struct cluster cluster;
    enum chaos_kind kind;
    struct site_files *sites[SITES_AT_ONCE];
    size_t count;
    struct hurt_twin twins[SITES_AT_ONCE];
    char name[CHAOS_NAME_MAX];
    char pid[PATH_BYTES];
    char note[PATH_BYTES];
};

/* chaos-NAME and a suffix, in the folder of sockets. */
static bool file_of(const struct cluster *c, const char *name,
                    const char *suffix, char path[PATH_BYTES])
{
    char file[CHAOS_NAME_MAX + 8];
    (void)snprintf(file, sizeof file, "chaos-%s", name);
    return path_join(path, c->folders.run, file, suffix);
}

/* ---- begin and end ---------------------------------------------------------
 */

static bool can_by_hand(enum chaos_kind kind)
{
    switch ((int)kind) {
    case CHAOS_KILL:
    case CHAOS_RESTART:
    case CHAOS_PAUSE:
    case CHAOS_TWIN:
    case CHAOS_DISK_FULL:
    case CHAOS_LOSE_STATE:
    case CHAOS_STRANGER:
    case CHAOS_RESET:
        return true;
    default:
        return false;
    }
}

/* A cluster that was stopped meanwhile stays so. */
static void start_again(struct held *h, const struct site_files *site)
{
    struct cluster now;
    if (!cluster_open(&now, h->cluster.name)) {
        return;
    }
    struct site_files *s = cluster_site(&now, site->name);
    if (s != NULL && !s->running && now.running > 0) {
        if (h->kind != CHAOS_RESTART) {
            (void)launch_stop(&now, s, 0); /* what its last life left */
        }
        if (launch_prepare(&now) && launch_start(&now, s)) {
            (void)!launch_keep(&now);
        }
    }
    cluster_close(&now);
}

static void begin_one(struct held *h, size_t i)
{
    struct site_files *s = h->sites[i];
    switch ((int)h->kind) {
    case CHAOS_KILL:
        (void)hurt_kill(s);
        break;
    case CHAOS_LOSE_STATE:
        (void)hurt_kill(s);
        hurt_lose_state(s);
        break;
    case CHAOS_RESTART:
        (void)hurt_leave(&h->cluster, s, GRACE_NS);
        break;
    case CHAOS_PAUSE:
        (void)hurt_pause(s);
        break;
    case CHAOS_TWIN:
        (void)hurt_twin(&h->cluster, s, &h->twins[i]);
        break;
    case CHAOS_DISK_FULL:
        (void)hurt_fill_disk(s);
        break;
    case CHAOS_RESET:
        if (s->ground->reset != NULL) {
            (void)s->ground->reset(s);
        } else {
            (void)hurt_kill(s);
            start_again(h, s);
        }
        break;
    case CHAOS_STRANGER:
    default:
        hurt_stranger(&h->cluster, s, clock_ns());
    }
}

static void end_one(struct held *h, size_t i)
{
    struct site_files *s = h->sites[i];
    switch ((int)h->kind) {
    case CHAOS_KILL:
    case CHAOS_LOSE_STATE:
    case CHAOS_RESTART:
        start_again(h, s);
        break;
    case CHAOS_PAUSE:
        (void)hurt_resume(s);
        break;
    case CHAOS_TWIN:
        hurt_twin_end(&h->cluster, &h->twins[i]);
        break;
    case CHAOS_DISK_FULL:
        hurt_free_disk(s);
        break;
    default:
        break;
    }
}

/* ---- the keeper ------------------------------------------------------------
 */

static volatile sig_atomic_t told;

static void on_term(int number)
{
    told = number;
}

static void hold(struct held *h, uint64_t until_ns)
{
    struct sigaction action = {.sa_handler = on_term};
    CHECK(sigaction(SIGTERM, &action, NULL) == 0);
    CHECK(sigaction(SIGINT, &action, NULL) == 0);
    /* Without its note the cluster has been purged: nothing to undo. */
    while (told == 0 && clock_ns() < until_ns && access(h->note, F_OK) == 0) {
        clock_sleep(20000000);
    }
    for (size_t i = 0; i < h->count; i++) {
        if (told != SIGINT || h->kind == CHAOS_TWIN ||
            h->kind == CHAOS_DISK_FULL) {
            end_one(h, i);
        }
    }
    (void)unlink(h->note);
    (void)unlink(h->pid);
}

static _Noreturn void be_keeper(struct held *h, uint64_t until_ns, int ready)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setsid();
    for (int fd = 0; null >= 0 && fd < 3; fd++) {
        (void)dup2(null, fd);
    }
    const bool ok = process_note(h->pid);
    for (size_t i = 0; ok && i < h->count; i++) {
        begin_one(h, i);
    }
    (void)!write(ready, &ok, sizeof ok);
    (void)close(ready);
    if (ok) {
        hold(h, until_ns);
    }
    _exit(0);
}

static bool start_keeper(struct held *h, uint64_t until_ns)
{
    int ready[2];
    bool ok = false;
    if (pipe2(ready, O_CLOEXEC) != 0) {
        return false;
    }
    (void)fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        (void)close(ready[0]);
        be_keeper(h, until_ns, ready[1]);
    }
    (void)close(ready[1]);
    ok = pid > 0 && read(ready[0], &ok, sizeof ok) == (ssize_t)sizeof ok && ok;
    (void)close(ready[0]);
    return ok;
}

/* ---- add -------------------------------------------------------------------
 */

static bool read_kind(const char *word, enum chaos_kind *kind)
{
    const char *words[CHAOS_KIND_COUNT];
    char list[256] = "";
    size_t count = 0;
    for (size_t i = 0; i < CHAOS_KIND_COUNT; i++) {
        if (can_by_hand((enum chaos_kind)i)) {
            const size_t n = strlen(list);
            words[count] = chaos_word((enum chaos_kind)i);
            (void)snprintf(list + n, sizeof list - n, " %s", words[count++]);
        }
    }
    if (!chaos_of_word(word, kind)) {
        say_error("no fault \"%.40s\"", word);
        const char *near = say_nearest(word, words, count);
        if (near != NULL) {
            say_hint("did you mean: %s", near);
        }
        say_hint("there are:%s", list);
        return false;
    }
    if (!can_by_hand(*kind)) {
        say_error("%s is not for sites that run already", word);
        say_hint("there are:%s", list);
        if (chaos_about(*kind) == CHAOS_OF_LINKS) {
            say_hint("for links: motet help link cut; motet help link set");
        } else {
            say_hint("in a scenario of its own: motet chaos run");
        }
        return false;
    }
    return true;
}

static bool name_it(struct held *h)
{
    for (int i = 1; i < NUMBERS_MAX; i++) {
        (void)snprintf(h->name, sizeof h->name, "%s-%d", chaos_word(h->kind),
                       i);
        if (!file_of(&h->cluster, h->name, ".fault", h->note) ||
            !file_of(&h->cluster, h->name, ".pid", h->pid)) {
            return false;
        }
        const int fd =
            open(h->note, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0) {
            (void)close(fd);
            return true;
        }
        if (errno != EEXIST) {
            say_error("cannot write %.300s: %s", h->note, strerror(errno));
            return false;
        }
    }
    say_error("%d faults of this kind are active", NUMBERS_MAX - 1);
    say_hint("end them: motet chaos clear");
    return false;
}

static void put_sites(FILE *f, const struct held *h)
{
    for (size_t i = 0; i < h->count; i++) {
        (void)fprintf(f, "%s%s", i > 0 ? "," : "", h->sites[i]->name);
    }
}

static bool write_note(const struct held *h, time_t ends)
{
    FILE *f = fopen(h->note, "we");
    if (f == NULL) {
        return false;
    }
    (void)fprintf(f, "%lld ", (long long)ends);
    put_sites(f, h);
    return fclose(f) == 0;
}

static enum exit_code begin_fault(struct held *h)
{
    char when[16];
    struct tm tm;
    const time_t ends = time(NULL) + (time_t)(add.for_ns / 1000000000);
    if (!name_it(h)) {
        return EXIT_FAILED;
    }
    if (!write_note(h, ends) || !start_keeper(h, clock_ns() + add.for_ns)) {
        (void)unlink(h->note);
        return say_fail(EXIT_FAILED, "cannot begin it: %s", strerror(errno));
    }
    (void)localtime_r(&ends, &tm);
    (void)strftime(when, sizeof when, "%H:%M:%S", &tm);
    printf("%s: ", h->name);
    put_sites(stdout, h);
    printf(" %s, ends at %s (or: motet chaos clear %s)\n", chaos_help(h->kind),
           when, h->name);
    return EXIT_DONE;
}

/* A stranger at the switch stands in a network namespace. On QEMU's user
 * network there is no switch, and nobody else. */
static bool can_there(enum chaos_kind kind, const struct site_files *site)
{
    const bool door = kind == CHAOS_TWIN || kind == CHAOS_STRANGER;
    if (door && site->user_net) {
        say_error("%s: not for %s: nobody else gets into its network",
                  chaos_word(kind), site->name);
        say_hint("kill, restart and pause are for all sites");
        return false;
    }
    if (kind == CHAOS_STRANGER && ground_is_switched(site) && geteuid() != 0) {
        say_error("stranger: needs a network namespace, which needs root");
        say_hint("try: sudo motet chaos add stranger %s", site->name);
        return false;
    }
    return true;
}

static enum exit_code add_run(char **args, unsigned count)
{
    struct held *h = calloc(1, sizeof *h);
    enum exit_code code = EXIT_USAGE;
    CHECK(h != NULL);
    if (read_kind(args[0], &h->kind) &&
        (code = cluster_choose(&h->cluster, false)) == EXIT_DONE) {
        for (unsigned i = 1; i < count && code == EXIT_DONE; i++) {
            h->sites[h->count++] = cluster_site_told(&h->cluster, args[i]);
            const struct site_files *s = h->sites[h->count - 1];
            code = s == NULL                ? EXIT_MISSING
                   : !can_there(h->kind, s) ? EXIT_USAGE
                                            : EXIT_DONE;
        }
        if (code == EXIT_DONE) {
            code = begin_fault(h);
        }
        cluster_close(&h->cluster);
    }
    free(h);
    return code;
}

/* ---- active, clear ---------------------------------------------------------
 */

struct active_row {
    char name[CHAOS_NAME_MAX];
    char sites[HELD_TEXT_MAX];
    uint64_t left_ms;
    struct process process;
};

static bool is_note(const char *file, char *name)
{
    char suffix[8] = "";
    int end = 0;
    return sscanf(file, "chaos-%31[a-z0-9-]%7s%n", name, suffix, &end) == 2 &&
           strcmp(suffix, ".fault") == 0 && file[end] == '\0';
}

static void read_note(const struct cluster *c, struct active_row *row)
{
    char path[PATH_BYTES];
    long long ends = 0;
    if (!file_of(c, row->name, ".fault", path)) {
        return;
    }
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        if (fscanf(f, "%lld %255s", &ends, row->sites) == 2 &&
            ends > (long long)time(NULL)) {
            row->left_ms = (uint64_t)(ends - (long long)time(NULL)) * 1000;
        }
        (void)fclose(f);
    }
    if (file_of(c, row->name, ".pid", path)) {
        (void)process_read(path, &row->process);
    }
}

static struct active_row *all_active(const struct cluster *c, size_t *count)
{
    struct active_row *rows = NULL;
    const struct dirent *entry;
    DIR *dir = opendir(c->folders.run);
    *count = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct active_row row = {.left_ms = 0};
        if (is_note(entry->d_name, row.name)) {
            read_note(c, &row);
            struct active_row *more =
                realloc(rows, (*count + 1) * sizeof *rows);
            CHECK(more != NULL);
            rows = more;
            rows[(*count)++] = row;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return rows;
}

static enum exit_code active_run(char **args, unsigned count)
{
    static const struct column columns[] = {
        COLUMN(struct active_row, "NAME", "name", CELL_CHARS, SHOW_ALWAYS,
               name),
        COLUMN(struct active_row, "SITES", "sites", CELL_CHARS, SHOW_ALWAYS,
               sites),
        COLUMN(struct active_row, "ENDS IN", "left_ms", CELL_MS, SHOW_ALWAYS,
               left_ms),
    };
    struct cluster c;
    size_t found = 0;
    (void)args;
    (void)count;
    const enum exit_code code = cluster_choose(&c, true);
    if (code != EXIT_DONE) {
        return code;
    }
    struct active_row *rows = all_active(&c, &found);
    const struct table t = {.schema = "motet.chaos.active/1",
                            .columns = columns,
                            .column_count = ARRAY_LEN(columns),
                            .rows = rows,
                            .row_bytes = sizeof *rows,
                            .row_count = found,
                            .none = "no fault is active"};
    const bool printed = table_print(&t);
    free(rows);
    cluster_close(&c);
    return printed ? EXIT_DONE : EXIT_FAILED;
}

/* Its keeper undoes it; one whose keeper is gone has nothing left but a note.
 */
static bool clear_one(const struct cluster *c, struct active_row *row,
                      int signal)
{
    char path[PATH_BYTES];
    if (process_look(&row->process)) {
        (void)process_signal(&row->process, signal);
        if (!process_wait(&row->process, 4 * GRACE_NS)) {
            say_error("%s: process %d does not end", row->name,
                      (int)row->process.pid);
            return false;
        }
    }
    if (file_of(c, row->name, ".fault", path)) {
        (void)unlink(path);
    }
    if (file_of(c, row->name, ".pid", path)) {
        (void)unlink(path);
    }
    return true;
}

void hurt_hands_off(const struct cluster *c)
{
    size_t found = 0;
    struct active_row *rows = all_active(c, &found);
    for (size_t i = 0; i < found; i++) {
        (void)clear_one(c, &rows[i], SIGINT);
    }
    free(rows);
}

static enum exit_code clear_run(char **args, unsigned count)
{
    struct cluster c;
    size_t found = 0;
    size_t cleared = 0;
    enum exit_code code = cluster_choose(&c, true);
    if (code != EXIT_DONE) {
        return code;
    }
    struct active_row *rows = all_active(&c, &found);
    for (size_t i = 0; i < found; i++) {
        if (count == 0 || strcmp(rows[i].name, args[0]) == 0) {
            cleared++;
            if (clear_one(&c, &rows[i], SIGTERM)) {
                say("%s is over", rows[i].name);
            } else {
                code = EXIT_FAILED;
            }
        }
    }
    if (cleared == 0 && count > 0) {
        say_error("no fault \"%.40s\" is active", args[0]);
        say_hint("list them: motet chaos active");
        code = EXIT_MISSING;
    }
    free(rows);
    cluster_close(&c);
    return code;
}

static const struct flag add_flags[] = {
    {"for", 0, "TIME", FLAG_DURATION, offsetof(struct add, for_ns),
     "until it ends by itself (60s)"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

const struct verb verb_chaos_add = {
    .name = "chaos add",
    .args = "FAULT SITE...",
    .args_min = 2,
    .args_max = SITES_AT_ONCE + 1,
    .flags = add_flags,
    .into = &add,
    .run = add_run,
    .summary = "break something in a cluster that runs, for a while",
    .examples = "  motet chaos add pause site2 --for 5s\n"
                "  motet chaos add kill site1 site3 --for 10s\n",
    .exits = "0 1 2 3 7",
};

const struct verb verb_chaos_active = {
    .name = "chaos active",
    .args = "",
    .run = active_run,
    .summary = "the faults that were added and have not ended",
    .examples = "  motet chaos active\n",
    .exits = "0 1 2 3 7",
};

const struct verb verb_chaos_clear = {
    .name = "chaos clear",
    .args = "[NAME]",
    .args_max = 1,
    .run = clear_run,
    .summary = "end a fault now, or all of them",
    .examples = "  motet chaos clear pause-1\n  motet chaos clear\n",
    .exits = "0 1 2 3 7",
};
