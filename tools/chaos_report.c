#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "chaos.h"
#include "options.h"
#include "say.h"
#include "table.h"
#include "units.h"

/* What a run has come to: on the terminal, verdict last, and as JSON. */

/* The promises that the logs of real processes can judge. */
static const int judged[] = {1, 2, 3, 4, 5, 7, 8, 9, 13};

static const char *verdict_word(enum exit_code code)
{
    switch ((int)code) {
    case EXIT_DONE:
        return "PASS";
    case EXIT_UNSAFE:
        return "UNSAFE";
    case EXIT_STUCK:
        return "STUCK";
    case EXIT_CRASHED:
        return "CRASHED";
    default:
        return "NO VERDICT";
    }
}

static uint64_t broken(const struct chaos_verdict *v, int promise)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < v->kept_count; i++) {
        n += v->kept[i].promise == promise;
    }
    return n;
}

static void print_faults(const struct chaos_verdict *v)
{
    printf("faults   %zu", v->shown_count);
    for (size_t k = 0; k < CHAOS_KIND_COUNT; k++) {
        const char *word = chaos_word((enum chaos_kind)k);
        size_t n = 0;
        for (size_t i = 0; i < v->shown_count; i++) {
            const char *text = v->shown[i].text;
            n += strncmp(text, word, strlen(word)) == 0 &&
                 (text[strlen(word)] == ' ' || text[strlen(word)] == ',' ||
                  text[strlen(word)] == '\0');
        }
        if (n > 0) {
            printf("   %s %zu", word, n);
        }
    }
    putchar('\n');
}

static void print_counts(const struct chaos_verdict *v)
{
    const struct check_counts *c = &v->counts;
    char agreed[UNIT_TEXT_MAX];
    print_faults(v);
    if (v->own_load) {
        printf("calls    %" PRIu64 "   ok %" PRIu64 "   refused %" PRIu64
               " (did not run)   unknown %" PRIu64 "\n",
               c->calls, c->replies, c->not_executed, c->maybe_executed);
        printf("sends    %" PRIu64 "   accepted %" PRIu64 "   refused %" PRIu64
               "   unknown %" PRIu64 "   delivered %" PRIu64 "\n",
               c->sends, c->accepted, c->refused, c->unknown, c->delivered);
    }
    printf("lives    %" PRIu64 "   ports %" PRIu64 "   watches %" PRIu64
           "   events %" PRIu64 "   agreed after %s\n",
           c->sites, c->ports, c->watches, v->events,
           unit_ns(v->agreed_ns, agreed));
}

static void print_violation(const struct chaos_accusation *a,
                            const struct chaos_verdict *v)
{
    const uint64_t at_ns = a->at_ns > v->start_ns ? a->at_ns - v->start_ns : 0;
    printf("         ");
    if (a->promise == CHECK_INVARIANT || a->promise == 0) {
        printf("%s", a->promise == 0 ? "crash" : "your invariant");
    } else {
        printf("P%d %s", a->promise, check_promise_name(a->promise));
    }
    printf(", at %.3f s: %s\n", (double)at_ns / 1e9, a->text);
}

static void print_checks(const struct chaos_verdict *v)
{
    static const int of_user[] = {8, CHECK_INVARIANT};
    const int *list = v->own_load ? judged : of_user;
    const size_t count = v->own_load ? ARRAY_LEN(judged) : ARRAY_LEN(of_user);
    for (size_t i = 0; i < count; i++) {
        const uint64_t n = broken(v, list[i]);
        printf("%s %s  ", i == 0 ? "check   " : "        ",
               n == 0 ? "PASS" : "FAIL");
        if (list[i] == CHECK_INVARIANT) {
            printf("your invariants, %" PRIu32 " states looked at\n",
                   v->states);
        } else {
            printf("P%-2d %s\n", list[i], check_promise_name(list[i]));
        }
    }
    for (uint32_t i = 0; i < v->kept_count; i++) {
        print_violation(&v->kept[i], v);
    }
    if (v->violations > v->kept_count) {
        printf("         and %" PRIu32 " more\n",
               v->violations - v->kept_count);
    }
}

void chaos_report(const struct chaos_verdict *v, const char *folder)
{
    if (options.output == OUTPUT_JSON || options.output == OUTPUT_JSONL) {
        (void)table_json("motet.chaos.report/1", chaos_verdict_json(v));
        return;
    }
    print_counts(v);
    print_checks(v);
    printf("report   %s/index.html\n", folder);
    printf("again    motet chaos run %s/scenario.yml --on %s\n", folder,
           v->ground);
    printf("verdict  %s%s%s\n", verdict_word(v->code),
           v->why[0] != '\0' ? ": " : "", v->why);
}

/* ---- JSON ------------------------------------------------------------------
 */

static json_t *violations_json(const struct chaos_verdict *v)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < v->kept_count; i++) {
        const struct chaos_accusation *a = &v->kept[i];
        CHECK(
            json_array_append_new(
                list,
                json_pack(
                    "{s:i,s:s,s:I,s:s}", "promise", a->promise, "name",
                    a->promise == 0 ? "crash" : check_promise_name(a->promise),
                    "at_ns",
                    (json_int_t)(a->at_ns > v->start_ns ? a->at_ns - v->start_ns
                                                        : 0),
                    "text", a->text)) == 0);
    }
    return list;
}

static json_t *faults_json(const struct chaos_verdict *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->shown_count; i++) {
        const struct chaos_shown *s = &v->shown[i];
        CHECK(json_array_append_new(
                  list, json_pack("{s:s,s:s,s:I,s:I}", "name", s->name, "text",
                                  s->text, "begin_ns", (json_int_t)s->begin_ns,
                                  "end_ns", (json_int_t)s->end_ns)) == 0);
    }
    return list;
}

static json_t *counts_json(const struct check_counts *c)
{
    return json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "calls",
        (json_int_t)c->calls, "replies", (json_int_t)c->replies, "not_executed",
        (json_int_t)c->not_executed, "maybe_executed",
        (json_int_t)c->maybe_executed, "executed", (json_int_t)c->executed,
        "sends", (json_int_t)c->sends, "accepted", (json_int_t)c->accepted,
        "refused", (json_int_t)c->refused, "unknown", (json_int_t)c->unknown,
        "delivered", (json_int_t)c->delivered, "lives", (json_int_t)c->sites,
        "ports", (json_int_t)c->ports, "watches", (json_int_t)c->watches);
}

json_t *chaos_verdict_json(const struct chaos_verdict *v)
{
    json_t *o = json_pack(
        "{s:s,s:i,s:s?,s:s,s:s,s:s,s:o,s:I,s:I,s:I,s:I,s:i,s:o,s:o,s:o}",
        "verdict", verdict_word(v->code), "exit", (int)v->code, "why",
        v->why[0] != '\0' ? v->why : NULL, "scenario", v->scenario, "ground",
        v->ground, "build", v->build, "seed", json_sprintf("%" PRIu64, v->seed),
        "events", (json_int_t)v->events, "healed_ns",
        (json_int_t)(v->healed_ns > v->start_ns ? v->healed_ns - v->start_ns
                                                : 0),
        "agreed_ns", (json_int_t)v->agreed_ns, "pending",
        (json_int_t)v->pending, "violated", (int)v->violations, "violations",
        violations_json(v), "faults", faults_json(v), "counts",
        counts_json(&v->counts));
    CHECK(o != NULL);
    return o;
}

bool chaos_report_files(const struct chaos_verdict *v, const char *folder)
{
    char path[PATH_BYTES];
    if (!path_join(path, folder, "report.json", NULL)) {
        return false;
    }
    json_t *o = chaos_verdict_json(v);
    const bool ok = json_dump_file(o, path, JSON_INDENT(1)) == 0;
    json_decref(o);
    if (!ok) {
        say_error("cannot write %.300s: %s", path, strerror(errno));
        return false;
    }
    return path_join(path, folder, "index.html", NULL) && chaos_html(v, path);
}
