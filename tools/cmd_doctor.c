#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "ground.h"
#include "table.h"
#include "verbs.h"

/* motet doctor: what this machine can do, found by trying. */

struct row {
    const char *name;
    const char *state;
    const char *need;
    const char *what;
    const char *todo;
    uint64_t took_ns;
};

struct sums {
    size_t ok;
    size_t warn;
    size_t no;
    bool broken;       /* "all" cannot do without what is missing */
    char missing[128]; /* names of grounds that cannot be used */
};

static const char *state_text(enum finding_state state)
{
    static const char *const texts[] = {"ok", "no", "warn"};

    return texts[state];
}

static void miss(struct sums *s, const char *ground)
{
    if (strcmp(ground, "all") == 0) {
        s->broken = true;
    } else if (ground[0] != '\0' && strstr(s->missing, ground) == NULL) {
        const size_t used = strlen(s->missing);
        snprintf(s->missing + used, sizeof s->missing - used, "%s%s",
                 used > 0 ? ", " : "", ground);
    }
}

static void add_up(struct sums *s, const struct doctor_check *check,
                   const struct finding *f)
{
    s->ok += f->state == FINDING_OK ? 1 : 0;
    s->warn += f->state == FINDING_WARN ? 1 : 0;
    s->no += f->state == FINDING_NO ? 1 : 0;
    if (f->state == FINDING_NO) {
        miss(s, check->need);
    }
}

static json_t *as_json(const struct row *row)
{
    static const struct column columns[] = {
        COLUMN(struct row, "CHECK", "name", CELL_TEXT, SHOW_ALWAYS, name),
        COLUMN(struct row, "STATE", "state", CELL_TEXT, SHOW_ALWAYS, state),
        COLUMN(struct row, "NEED", "needed_by", CELL_TEXT, SHOW_ALWAYS, need),
        COLUMN(struct row, "WHAT", "what", CELL_TEXT, SHOW_ALWAYS, what),
        COLUMN(struct row, "TODO", "todo", CELL_TEXT, SHOW_ALWAYS, todo),
        COLUMN(struct row, "TOOK", "took_ns", CELL_NS, SHOW_ALWAYS, took_ns),
    };
    const struct table t = {.columns = columns,
                            .column_count = ARRAY_LEN(columns),
                            .rows = row,
                            .row_bytes = sizeof *row,
                            .row_count = 1};

    return table_row_json(&t, 0);
}

static void print_line(const struct row *row)
{
    const char *mark = strcmp(row->state, "ok") == 0     ? "ok"
                       : strcmp(row->state, "warn") == 0 ? "!!"
                                                         : "no";

    printf("  %s  %-11s %s%s%s\n", mark, row->name, row->what,
           row->todo != NULL ? "  ->  " : "",
           row->todo != NULL ? row->todo : "");
    (void)fflush(stdout); /* the next may take its time */
}

static void look(const struct doctor_check *checks, size_t count,
                 struct sums *sums, json_t *items)
{
    for (size_t i = 0; i < count; i++) {
        struct finding f = {0};
        const uint64_t from = clock_ns();
        checks[i].look(&f);
        add_up(sums, &checks[i], &f);
        const struct row row = {checks[i].name,
                                state_text(f.state),
                                checks[i].need[0] != '\0' ? checks[i].need
                                                          : NULL,
                                f.what,
                                f.todo[0] != '\0' ? f.todo : NULL,
                                clock_ns() - from};
        if (items != NULL) {
            CHECK(json_array_append_new(items, as_json(&row)) == 0);
        } else {
            print_line(&row);
        }
    }
}

static void print_sums(const struct sums *s)
{
    printf("%zu ok, %zu warning%s, %zu absent", s->ok, s->warn,
           s->warn == 1 ? "" : "s", s->no);
    if (s->broken) {
        printf("; no cluster can run here\n");
    } else if (s->missing[0] != '\0') {
        printf("; not possible here: --on %s\n", s->missing);
    } else {
        printf("; every ground can be used\n");
    }
}

static enum exit_code doctor_run(char **args, unsigned count)
{
    const bool json = options.output >= OUTPUT_JSON;
    json_t *items = json ? json_array() : NULL;
    struct sums sums = {0};
    (void)args;
    (void)count;

    look(doctor_system, doctor_system_count, &sums, items);
    look(doctor_qemu, doctor_qemu_count, &sums, items);
    bool ok = true;
    if (json) {
        ok = table_json("motet.doctor/1",
                        json_pack("{s:b,s:s,s:o}", "usable", !sums.broken,
                                  "missing", sums.missing, "items", items));
    } else {
        print_sums(&sums);
    }
    return ok && !sums.broken ? EXIT_DONE : EXIT_FAILED;
}

const struct verb verb_doctor = {
    .name = "doctor",
    .args = "",
    .run = doctor_run,
    .summary = "what this machine can do, by trying; boots a guest",
    .examples = "  motet doctor\n  motet doctor --json\n",
    .exits = "0 1 2",
};
