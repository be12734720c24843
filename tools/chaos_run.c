#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "chaos.h"
#include "ground.h"
#include "nucleus/base/version.h"
#include "say.h"

/* A run: its folder, its log, its end. The grounds do the rest. */

enum { FOLDER_TRIES = 100 };

void chaos_log(struct chaos_run *r, uint64_t at_ns, const char *format, ...)
{
    va_list args;
    (void)fprintf(r->log, "%" PRIu64 " ", at_ns);
    va_start(args, format);
    (void)vfprintf(r->log, format, args);
    va_end(args);
    (void)fputc('\n', r->log);
    (void)fflush(r->log);
}

void chaos_log_fault(struct chaos_run *r, uint64_t at_ns,
                     const struct chaos_fault *f, bool begins)
{
    char text[CHAOS_TEXT_MAX];
    if (!begins) {
        chaos_log(r, at_ns, "end %s", f->name);
        return;
    }
    chaos_log(r, at_ns, "begin %" PRIx32 " %" PRIu64 " %s %s", f->sites | f->to,
              f->for_ns, f->name, chaos_text(f, r->scenario->sites, text));
}

void chaos_accuse(struct chaos_run *r, int promise, uint64_t at_ns,
                  uint64_t site, const char *text)
{
    if (r->accused_count == CHAOS_ACCUSED_MAX) {
        return; /* enough is enough */
    }
    struct chaos_accusation *a = &r->accused[r->accused_count++];
    *a = (struct chaos_accusation){
        .promise = promise, .at_ns = at_ns, .site = site};
    (void)snprintf(a->text, sizeof a->text, "%s", text);
}

/* ---- the folder ------------------------------------------------------------
 */

/* STATE/CLUSTER/chaos/TIME-SCENARIO; "latest" leads there. */
static bool make_folder(struct chaos_run *r)
{
    struct folders folders;
    char all[PATH_BYTES];
    char name[128];
    char when[32];
    struct tm tm;
    const time_t now = time(NULL);
    if (!folders_of(r->cluster, &folders) ||
        !path_join(all, folders.state, "chaos", NULL) ||
        !folder_make(all, 0755)) {
        return false;
    }
    (void)localtime_r(&now, &tm);
    (void)strftime(when, sizeof when, "%Y%m%d-%H%M%S", &tm);
    for (int i = 0; i < FOLDER_TRIES; i++) {
        (void)snprintf(name, sizeof name, "%s-%.60s-%s%.0d", when,
                       r->scenario->name, r->ground->name, i);
        if (!path_join(r->folder, all, name, NULL)) {
            return false;
        }
        if (mkdir(r->folder, 0755) == 0) {
            char link[PATH_BYTES];
            if (path_join(link, all, "latest", NULL)) {
                (void)unlink(link);
                (void)!symlink(name, link);
            }
            return true;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    say_error("cannot make %.300s: %s", r->folder, strerror(errno));
    return false;
}

static FILE *create(const struct chaos_run *r, const char *name)
{
    char path[PATH_BYTES];
    FILE *f = path_join(path, r->folder, name, NULL) ? fopen(path, "we") : NULL;
    if (f == NULL) {
        say_error("cannot write %s in %.300s: %s", name, r->folder,
                  strerror(errno));
    }
    return f;
}

static bool write_scenario(struct chaos_run *r)
{
    struct scenario s = *r->scenario;
    FILE *f = create(r, "scenario.yml");
    if (f == NULL) {
        return false;
    }
    s.has_seed = true;
    s.seed = r->seed;
    if (r->plugin != NULL) { /* from whatever folder it is run again */
        const char *args = r->plugin->args;
        (void)snprintf(s.actor, sizeof s.actor, "%.120s%s%.78s",
                       r->plugin->path, args != NULL ? ":" : "",
                       args != NULL ? args : "");
    }
    scenario_write(f, &s, &r->faults);
    return fclose(f) == 0;
}

static json_t *accused_json(const struct chaos_run *r)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->accused_count; i++) {
        const struct chaos_accusation *a = &r->accused[i];
        CHECK(json_array_append_new(
                  list, json_pack("{s:i,s:I,s:o,s:s}", "promise", a->promise,
                                  "at_ns", (json_int_t)a->at_ns, "site",
                                  json_sprintf("%" PRIu64, a->site), "text",
                                  a->text)) == 0);
    }
    return list;
}

/* What a judge needs; written at the begin, and again at the end. */
static bool write_run(const struct chaos_run *r)
{
    char path[PATH_BYTES];
    if (!path_join(path, r->folder, "run.json", NULL)) {
        return false;
    }
    json_t *o = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:o,s:I,s:b,s:i,s:I,s:I,s:I,s:I,s:O,s:o}",
        "schema", "motet.chaos.run/1", "scenario", r->scenario->name, "about",
        r->scenario->about, "ground", r->ground->name, "build",
        version_commit(), "seed", json_sprintf("%" PRIu64, r->seed),
        "calls_min", (json_int_t)r->scenario->calls_min, "own_load",
        (int)r->own_load, "states", (int)r->states, "start_ns",
        (json_int_t)r->start_ns, "healed_ns", (json_int_t)r->healed_ns,
        "end_ns", (json_int_t)r->end_ns, "agreed_ns", (json_int_t)r->agreed_ns,
        "sites", r->sites, "accused", accused_json(r));
    CHECK(o != NULL);
    const bool ok = json_dump_file(o, path, JSON_INDENT(1)) == 0;
    json_decref(o);
    if (!ok) {
        say_error("cannot write %.300s", path);
    }
    return ok;
}

/* Beside the program as it is built, and as it is installed. */
bool chaos_load_object(char *path)
{
    static const char *const folders[] = {"../lib", MOTET_OBJECTS};
    char self[PATH_BYTES];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    for (size_t i = 0; slash != NULL && i < 2; i++) {
        *slash = '\0';
        if (snprintf(path, PATH_BYTES, "%s/%s/motet-load.so", self,
                     folders[i]) < PATH_BYTES &&
            access(path, R_OK) == 0) {
            return true;
        }
    }
    say_error("there is no motet-load.so, the load, beside motet");
    say_hint("build all of it: cmake --build --preset release");
    return false;
}

/* ---- the whole -------------------------------------------------------------
 */

static const struct chaos_ground *const grounds[] = {
    &chaos_on_sim, &chaos_on_host, &chaos_on_netns, &chaos_on_qemu};

const struct chaos_ground *chaos_ground_at(size_t i)
{
    return i < ARRAY_LEN(grounds) ? grounds[i] : NULL;
}

const struct chaos_ground *chaos_ground_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(grounds); i++) {
        if (strcmp(grounds[i]->name, name) == 0) {
            return grounds[i];
        }
    }
    return NULL;
}

bool chaos_can(const struct chaos_ground *g, const struct chaos_faults *faults,
               enum chaos_kind *kind, const char **why)
{
    enum chaos_kind which;
    const char *reason = "";
    kind = kind != NULL ? kind : &which;
    why = why != NULL ? why : &reason;
    for (size_t i = 0; i < faults->count; i++) {
        *kind = faults->items[i].kind;
        if (!g->can(*kind, why)) {
            return false;
        }
    }
    return true;
}

/* Else it is told, with where it can be done. */
static bool can_all(const struct chaos_run *r)
{
    enum chaos_kind kind = CHAOS_KIND_COUNT;
    const char *why = "";
    char others[64] = "";
    if (chaos_can(r->ground, &r->faults, &kind, &why)) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(grounds); i++) {
        if (chaos_can(grounds[i], &r->faults, NULL, NULL)) {
            const size_t n = strlen(others);
            (void)snprintf(others + n, sizeof others - n, "%s--on %s",
                           n > 0 ? ", " : "", grounds[i]->name);
        }
    }
    say_error("%s cannot be done on %s: %s", chaos_word(kind), r->ground->name,
              why);
    say_hint("where it can be done: %s", others);
    return false;
}

/* Before anything is made: root, QEMU, a switch. */
static enum exit_code check_machine(const struct chaos_run *r)
{
    const struct ground *g =
        r->ground->sites == NULL ? NULL : ground_find(r->ground->sites);
    return g == NULL || g->check == NULL ? EXIT_DONE : g->check();
}

static void begin(struct chaos_run *r)
{
    r->sites = json_array();
    for (uint32_t i = 0; i < r->scenario->sites; i++) {
        CHECK(json_array_append_new(r->sites,
                                    json_sprintf("site%" PRIu32, i + 1)) == 0);
    }
    say("%s on %s   seed %" PRIu64 "   %" PRIu32 " sites   %" PRIu64
        " s   %zu faults",
        r->scenario->name, r->ground->name, r->seed, r->scenario->sites,
        r->scenario->for_ns / 1000000000, r->faults.count);
}

static enum exit_code judge(struct chaos_run *r)
{
    struct chaos_verdict *v = calloc(1, sizeof *v);
    CHECK(v != NULL);
    enum exit_code code = EXIT_FAILED;
    if (chaos_judge(r->folder, v)) {
        const bool written = chaos_report_files(v, r->folder);
        chaos_report(v, r->folder);
        code = written ? v->code : EXIT_FAILED;
    }
    chaos_verdict_free(v);
    free(v);
    return code;
}

enum exit_code chaos_run(struct chaos_run *r)
{
    enum exit_code code = EXIT_FAILED;
    scenario_faults(r->scenario, r->seed, &r->faults);
    const enum exit_code able = can_all(r) ? check_machine(r) : EXIT_USAGE;
    if (able != EXIT_DONE) {
        chaos_free(&r->faults);
        return able;
    }
    if (make_folder(r)) {
        begin(r);
        r->log = create(r, "run.log");
        if (r->log != NULL && write_scenario(r) && write_run(r)) {
            code = r->ground->play(r);
        }
        if (code == EXIT_DONE) {
            code = write_run(r) ? judge(r) : EXIT_FAILED;
        }
        if (r->log != NULL) {
            (void)fclose(r->log);
        }
        json_decref(r->sites);
    }
    chaos_free(&r->faults);
    return code;
}
