#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/chaos/library.h"
#include "deploy/chaos/scenario.h"

TestSuite(scenario, .timeout = 20);

#define S 1000000000ULL

static struct scenario scenario;
static char why[SCENARIO_WHY_MAX];
static char path[64];

/* Reads a text as if it were a file. */
static bool read_text(const char *text)
{
    (void)snprintf(path, sizeof path, "/tmp/scenario_test.%d.yml",
                   (int)getpid());
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert(fputs(text, f) >= 0);
    cr_assert_eq(fclose(f), 0);
    why[0] = '\0';
    const bool ok = scenario_read(&scenario, path, why);
    (void)unlink(path);
    return ok;
}

static const struct {
    const char *text;
    int line;
    const char *says;
} bad[] = {
    {"", 1, "it is empty; begin with name"},
    {"- a\n", 1, "keys and values are wanted here: name about"},
    {"sites: 3\n", 1, "a scenario needs a name"},
    {"name: a b\n", 1, "\"a b\" is no name"},
    {"name: x\nsite: 3\n", 2, "no key \"site\" here; there are: name"},
    {"name: x\nname: y\n", 2, "name: said twice"},
    {"name: x\nsites: 1\n", 2, "\"1\" is no number from 2 to 32"},
    {"name: x\nsites: [3]\n", 2, "one word is wanted here"},
    {"name: x\nfor: 5\n", 2, "write it like 500ms, 8s or 2m"},
    {"name: x\nfor: 0s\n", 2, "is no time from 1s to"},
    {"name: x\nfor: 2d\n", 2, "is no time"},
    {"name: x\nnetwork: wild\n", 2, "there are calm lossy"},
    {"name: x\nworkload: {rate: 0/s}\n", 2, "write it like 40/s"},
    {"name: x\nworkload: {actors: 9}\n", 2, "is no number from 1 to 3"},
    {"name: x\nnemesis: kill\n", 2, "a list is wanted"},
    {"name: x\nnemesis: [kil]\n", 2, "no nemesis \"kil\"; there are: kill"},
    {"name: x\nholds: {core: maybe}\n", 2, "say yes or no"},
    {"name: x\nseed: x\n", 2, "a number is wanted"},
    {"name: x\nfaults: 3\n", 2, "each line beginning with -"},
    {"name: x\nfaults:\n- {at: 1s}\n", 3, "needs a time and a kind"},
    {"name: x\nfaults:\n- {fault: ring}\n", 3, "needs a time and a kind"},
    {"name: x\nfaults:\n- {at: 1s, fault: burn}\n", 3, "no fault \"burn\""},
    {"name: x\nfaults:\n- {at: 1s, fault: kill}\n", 3, "say site: site1"},
    {"name: x\nfaults:\n- {at: 1s, fault: kill, from: site1, to: site2}\n", 3,
     "say site: site1"},
    {"name: x\nfaults:\n- {at: 1s, fault: cut, site: site1}\n", 3,
     "say from: site1, to: site2"},
    {"name: x\nfaults:\n- {at: 1s, fault: cut, from: site1}\n", 3,
     "say from: site1, to: site2"},
    {"name: x\nfaults:\n- {at: 1s, fault: ring, site: site1}\n", 3,
     "leave site, from and to out"},
    {"name: x\nfaults:\n\n- {at: 1s, fault: kill, site: site4}\n", 4,
     "no site \"site4\"; there are site1 to site3"},
    {"name: x\nfaults:\n- {at: 1s, fault: kill, site: paris}\n", 3,
     "no site \"paris\""},
    {"name: x\nfor: 9s\nfaults:\n- {at: 9s, fault: kill, site: site1}\n", 4,
     "the run ends at 9s"},
    {"name: x\nfaults:\n- {at: 1s, fault: loss, from: all, to: all}\n", 3,
     "say by how much, like by: 30%"},
    {"name: x\nfaults:\n- at: 1s\n  fault: loss\n  from: all\n  to: all\n"
     "  by: 101%\n",
     7, "at most 100%"},
    {"name: x\nfaults:\n- {at: 1s, fault: kill, site: all, by: 3%}\n", 3,
     "takes no \"by\""},
    {"name: x\nfaults:\n- {at: 1s, fault: kill, site: all, burst: 3}\n", 3,
     "burst belongs to loss"},
    {"name: x\nfaults:\n- {at: 1s, fault: kill, site: all, times: 3}\n", 3,
     "say how often too"},
    {"name: x\nfaults:\n- {at: 1s, fault: clock, site: all, by: 0s}\n", 3,
     "like by: 1h or -90s"},
    {"name: x\nfaults: [\n", 3, "(no YAML)"},
};

Test(scenario, what_is_wrong_is_told_with_its_line_and_what_to_do)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[96];
        cr_expect_not(read_text(bad[i].text), "%s", bad[i].text);
        (void)snprintf(line, sizeof line, "%s line %d: ", path, bad[i].line);
        cr_expect(strncmp(why, line, strlen(line)) == 0, "%s\n%s", bad[i].text,
                  why);
        cr_expect_not_null(strstr(why, bad[i].says), "%s\n%s", bad[i].text,
                           why);
        cr_expect_null(strchr(why, '\n'), "one line");
    }
}

Test(scenario, a_file_that_is_not_there)
{
    cr_expect_not(scenario_read(&scenario, "/nowhere/x.yml", why));
    cr_expect_not_null(strstr(why, "cannot read /nowhere/x.yml: "));
}

Test(scenario, all_keys_are_read)
{
    cr_assert(
        read_text("faults:\n"
                  "- {at: 1.5s, fault: loss, by: 2.5%, burst: 4, from: "
                  "[site1, site5], to: all, one-way: yes, for: 250ms}\n"
                  "name: x-1\nabout: why not\nsites: 5\nfor: 2m\n"
                  "network: tight\nworkload: {actors: 2, rate: 40/s}\n"
                  "nemesis: [kill, cut]\nseed: 17\n"
                  "holds: {agree: 3s, settle: 4s, core: yes, calls: 9}\n"),
        "%s", why);
    const struct scenario *s = &scenario;
    const struct chaos_fault *f = &s->lines[0].fault;
    cr_expect_str_eq(s->name, "x-1");
    cr_expect_str_eq(s->about, "why not");
    cr_expect(s->sites == 5 && s->for_ns == 120 * S && s->actors == 2);
    cr_expect(s->network == NETWORK_TIGHT && s->rate == 40 && s->core);
    cr_expect_eq(s->nemeses, 1U << NEMESIS_KILL | 1U << NEMESIS_CUT);
    cr_expect(s->agree_ns == 3 * S && s->settle_ns == 4 * S);
    cr_expect(s->calls_min == 9 && s->has_seed && s->seed == 17);
    cr_expect(f->at_ns == 1500000000 && f->for_ns == 250000000);
    cr_expect(f->by == 25000 && f->burst == 4 && f->one_way);
    cr_expect(f->sites == 17 && f->to == 31, "whatever the order of the keys");
}

static void expect_same(const struct chaos_faults *a,
                        const struct chaos_faults *b)
{
    cr_assert_eq(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct chaos_fault *x = &a->items[i];
        const struct chaos_fault *y = &b->items[i];
        cr_expect(x->kind == y->kind && x->at_ns == y->at_ns &&
                      x->for_ns == y->for_ns && x->sites == y->sites &&
                      x->to == y->to && x->one_way == y->one_way &&
                      x->by == y->by && x->dice == y->dice &&
                      (x->burst > 1 ? x->burst : 0) ==
                          (y->burst > 1 ? y->burst : 0),
                  "fault %zu", i);
    }
}

Test(scenario, the_same_seed_has_the_same_faults_and_they_can_be_written_down)
{
    struct chaos_faults first;
    struct chaos_faults again;
    struct chaos_faults other;
    cr_assert(read_text(
        "name: x\nsites: 4\nfor: 60s\nnemesis: [kill, cut, loss, delay, "
        "corrupt, ring, halves, clog, weather, twin]\nfaults:\n"
        "- {at: 1s, fault: pause, site: any, every: 2s, for: 1s}\n"
        "- {at: 2s, fault: clock, site: each, every: 9s, times: 3, by: -90s}\n"
        "- {at: 3s, fault: rate, from: any, to: any, by: 64KiB/s, for: 5s}\n"));
    scenario_faults(&scenario, 7, &first);
    scenario_faults(&scenario, 7, &again);
    scenario_faults(&scenario, 8, &other);
    cr_assert(first.count > 60 && first.count < 200);
    expect_same(&first, &again);
    cr_expect(other.count != first.count ||
              memcmp(other.items, first.items,
                     first.count * sizeof *first.items) != 0);
    for (size_t i = 1; i < first.count; i++) {
        cr_expect(first.items[i - 1].at_ns <= first.items[i].at_ns);
    }
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    scenario_write(f, &scenario, &first);
    cr_assert_eq(fclose(f), 0);
    cr_assert(read_text(text), "%s", why);
    chaos_free(&again);
    scenario_faults(&scenario, 1, &again);
    expect_same(&first, &again);
    chaos_free(&first);
    chaos_free(&again);
    chaos_free(&other);
    free(text);
}

Test(scenario, repetitions)
{
    struct chaos_faults list;
    cr_assert(read_text(
        "name: x\nsites: 3\nfor: 10s\nfaults:\n"
        "- {at: 1s, fault: kill, site: each, every: 2s, for: 1s}\n"
        "- {at: 4s, fault: pause, site: site2, every: 1s, times: 2}\n"));
    scenario_faults(&scenario, 1, &list);
    static const struct {
        uint64_t at_s;
        uint32_t sites;
    } want[] = {{1, 1}, {3, 2}, {4, 2}, {5, 4}, {5, 2}, {7, 1}, {9, 2}};
    cr_assert_eq(list.count, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < list.count; i++) {
        cr_expect(list.items[i].at_ns == want[i].at_s * S &&
                      list.items[i].sites == want[i].sites,
                  "fault %zu", i);
    }
    chaos_free(&list);
}

Test(scenario, which_directions_a_fault_is_about)
{
    const struct chaos_fault one = {
        .kind = CHAOS_CUT, .sites = 1, .to = 2, .one_way = true};
    const struct chaos_fault both = {.kind = CHAOS_CUT, .sites = 1, .to = 6};
    const struct chaos_fault ring = {.kind = CHAOS_RING};
    cr_expect(chaos_touches(&one, 3, 0, 1) && !chaos_touches(&one, 3, 1, 0));
    cr_expect(chaos_touches(&both, 3, 0, 2) && chaos_touches(&both, 3, 2, 0));
    cr_expect_not(chaos_touches(&both, 3, 1, 2), "between the targets");
    cr_expect_not(chaos_touches(&both, 3, 0, 0), "to itself");
    cr_expect_not(chaos_touches(&both, 3, 0, UINT32_MAX), "no site");
    cr_expect_not(chaos_touches(&ring, 3, 3, 0), "no site");
    for (uint32_t i = 0; i < 5; i++) {
        cr_expect_not(chaos_touches(&ring, 5, i, (i + 1) % 5));
        cr_expect(chaos_touches(&ring, 5, i, (i + 2) % 5));
    }
}

Test(scenario, the_library_can_be_read)
{
    static char names[LIBRARY_NAMES_MAX][SCENARIO_NAME_MAX];
    char file[LIBRARY_PATH_MAX];
    cr_assert_eq(setenv("MOTET_SCENARIOS", SCENARIOS, 1), 0);
    const size_t count = library_names(names, LIBRARY_NAMES_MAX);
    cr_expect_geq(count, 15);
    for (size_t i = 0; i < count; i++) {
        cr_assert(library_find(names[i], file), "%s", names[i]);
        cr_expect(scenario_read(&scenario, file, why), "%s", why);
        cr_expect_str_eq(scenario.name, names[i], "named as its file");
        cr_expect(scenario.about[0] != '\0', "%s", names[i]);
    }
    cr_expect_not(library_find("no-such-one", file));
}
