#include <criterion/criterion.h>
#include <fcntl.h>
#include <motet/motet.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "attach_ground.h"
#include "attach_raw.h"
#include "proto/attach.h"
#include "sites/host/attach.h"

TestSuite(attach_limits, .timeout = 60);

#define OK(expr) cr_assert_eq((expr), MOTET_OK, "%s", #expr)

/* ---- limits: at the limit, and one past it --------------------------------
 */

static enum motet_err attach_err(struct ground *g)
{
    struct motet *m;
    const enum motet_err err = motet_attach(g->path, &m);
    motet_detach(m);
    return err;
}

Test(attach_limits, connections_have_a_limit)
{
    struct ground g = {0};
    g.limits = attach_limits_default();
    g.limits.connections_max = 2;
    ground_start(&g);
    struct motet *a = ground_attach(&g);
    const int fd = raw_greeted(&g);
    const enum motet_err err = attach_err(&g);
    /* The answer may be lost when the site closes first. */
    cr_expect(err == MOTET_E_LIMIT || err == MOTET_E_DETACHED, "%s",
              motet_err_name(err));
    close(fd);
    const uint64_t until = ground_ms() + 5000;
    while (attach_err(&g) != MOTET_OK) {
        cr_assert(ground_ms() < until, "the place is free again");
    }
    motet_detach(a);
    ground_stop(&g);
}

Test(attach_limits, a_peer_that_says_nothing_is_sent_away)
{
    struct ground g = {0};
    g.limits = attach_limits_default();
    g.limits.greeting_ms_max = 100;
    ground_start(&g);
    const int good = raw_greeted(&g);
    const int fd = ground_raw(&g);
    const uint64_t start = ground_ms();
    cr_expect(raw_closed(fd));
    cr_expect(ground_ms() - start >= 99);
    cr_expect_eq(ground_logged(&g), 1);
    cr_expect(!raw_ready(good, 200), "who has greeted stays");
    close(fd);
    close(good);
    ground_stop(&g);
}

/* One attachment may have little of each. */
static void start_tight(struct ground *g)
{
    g->limits = attach_limits_default();
    g->limits.ports_max = 3;
    g->limits.watches_max = 2;
    g->limits.calls_max = 2;
    g->limits.sends_max = 2;
    g->limits.receives_max = 2;
    g->limits.held_max = 2;
    ground_start(g);
}

static void stop_tight(struct ground *g)
{
    cr_expect_eq(ground_logged(g), 0);
    ground_stop(g);
}

Test(attach_limits, ports_and_watches_of_one_attachment)
{
    struct ground g = {0};
    start_tight(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *ports[3];
    struct motet_port *more;
    struct motet_msg msg;
    uint64_t watches[3];
    for (int i = 0; i < 3; i++) {
        ports[i] = ground_port(m, NULL);
    }
    cr_expect_eq(motet_port_create(m, NULL, &more), MOTET_E_LIMIT);
    motet_port_delete(ports[2]);
    ports[2] = ground_port(m, NULL);

    const struct motet_ui ui = motet_port_ui(ports[1]);
    OK(motet_watch(ports[0], ui, &watches[0]));
    OK(motet_watch(ports[0], ui, &watches[1]));
    cr_expect_eq(motet_watch(ports[0], ui, &watches[2]), MOTET_E_LIMIT);
    OK(motet_unwatch(m, watches[1]));
    OK(motet_watch(ports[0], ui, &watches[1]));
    motet_port_delete(ports[1]); /* both watches end */
    for (int i = 0; i < 2; i++) {
        OK(motet_receive(ports[0], &msg, 1000));
        cr_expect_eq(msg.kind, MOTET_MSG_NEWS);
    }
    ports[1] = ground_port(m, NULL);
    OK(motet_watch(ports[0], motet_port_ui(ports[1]), &watches[0]));
    motet_detach(m);
    stop_tight(&g);
}

/* The last of what was started is one too many. */
static void expect_limit(struct motet *m, uint64_t token)
{
    struct motet_event event;
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.err, MOTET_E_LIMIT);
    cr_expect_eq(event.token, token);
}

Test(attach_limits, messages_of_one_attachment)
{
    struct ground g = {0};
    start_tight(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *self = ground_port(m, "self");
    struct motet_port *from = ground_port(m, NULL);
    struct motet_msg calls[2], msg;
    struct motet_event event;
    for (uint64_t i = 0; i < 3; i++) {
        OK(motet_call_start(from, motet_to("self"), raw_text("x"), 60000, i,
                            NULL));
    }
    expect_limit(m, 2);
    for (uint64_t i = 0; i < 3; i++) {
        OK(motet_send_start(from, motet_to_waiting("nobody"), raw_text("x"),
                            60000, 10 + i));
    }
    expect_limit(m, 12);

    for (int i = 0; i < 2; i++) {
        OK(motet_receive(self, &calls[i], 1000));
        cr_expect_eq(calls[i].kind, MOTET_MSG_CALL);
    }
    cr_expect_eq(motet_receive(self, &msg, 100), MOTET_E_LIMIT,
                 "two replies are owed");
    OK(motet_reply(&calls[0], "x", 1));
    cr_expect_eq(motet_receive(self, &msg, 100), MOTET_E_TIMEOUT);
    OK(motet_event(m, &event, 1000));
    OK(motet_call_start(from, motet_to("self"), raw_text("x"), 60000, 20,
                        NULL));
    OK(motet_receive(self, &msg, 1000));
    motet_detach(m);
    stop_tight(&g);
}

Test(attach_limits, receives_of_one_attachment)
{
    struct ground g = {0};
    start_tight(&g);
    const int fd = raw_greeted(&g);
    for (uint64_t i = 0; i < 3; i++) {
        raw_say(fd, &(struct attach_frame){
                        .op = ATTACH_RECEIVE, .id = 10 + i, .timeout_ms = -1});
    }
    struct attach_frame f;
    cr_assert(raw_hear(fd, &f));
    cr_expect_eq(f.op, ATTACH_RECEIVE_END);
    cr_expect_eq(f.id, 12);
    cr_expect_eq(f.err, MOTET_E_LIMIT);
    close(fd);
    stop_tight(&g);
}

Test(attach_limits, what_is_too_big_is_refused_at_its_end)
{
    struct ground g = {0};
    ground_start(&g);
    const int fd = raw_greeted(&g);
    const struct motet_ui port = raw_port(fd);
    struct attach_frame f = raw_big_send(port, 5);
    f.total = MOTET_BODY_DEFAULT + 1;
    uint8_t fields[ATTACH_FIELDS_MAX];
    struct attach_parcel p = {.op = f.op,
                              .id = f.id,
                              .fields = fields,
                              .field_bytes =
                                  (uint32_t)attach_fields(&f, fields),
                              .total = f.total};
    while (!attach_cut_done(&p)) {
        static uint8_t packet[ATTACH_PACKET_MAX];
        struct writer w = writer_of(packet, sizeof packet);
        uint32_t chunk;
        cr_assert(attach_cut(&p, &w, sizeof packet, &chunk));
        cr_assert_gt(send(fd, packet, w.at + chunk, MSG_NOSIGNAL), 0);
    }
    cr_assert(raw_hear(fd, &f));
    cr_expect_eq(f.op, ATTACH_SENT);
    cr_expect_eq(f.err, MOTET_E_TOO_BIG);
    raw_port(fd); /* and it goes on */
    close(fd);
    ground_stop(&g);
}

/* ---- who may come ---------------------------------------------------------
 */

Test(attach_limits, another_version_is_told_so)
{
    struct ground g = {0};
    ground_start(&g);
    for (int i = 0; i < 2; i++) {
        struct attach_frame f = raw_hello;
        f.magic += i == 0;
        f.version += i == 1;
        const int fd = ground_raw(&g);
        raw_say(fd, &f);
        cr_assert(raw_hear(fd, &f));
        cr_expect_eq(f.op, ATTACH_RESULT);
        cr_expect_eq(f.err, MOTET_E_VERSION);
        cr_expect(raw_closed(fd));
        close(fd);
    }
    ground_stop(&g);
}

struct visit {
    struct ground *g;
    uid_t uid;
    enum motet_err err;
};

/* As another user, in this thread only. */
static void *visit(void *arg)
{
    struct visit *v = arg;
    CHECK(syscall(SYS_setresuid, v->uid, v->uid, v->uid) == 0);
    v->err = attach_err(v->g);
    return NULL;
}

static enum motet_err visit_as(struct ground *g, uid_t uid)
{
    struct visit v = {.g = g, .uid = uid};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, visit, &v) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return v.err;
}

Test(attach_limits, other_users_do_not_get_in)
{
    struct ground g = {0};
    struct stat st;
    ground_start(&g);
    cr_assert_eq(stat(g.path, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(stat(g.dir, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0700);
    if (geteuid() == 0) {
        cr_expect_eq(visit_as(&g, 65534), MOTET_E_PERMISSION);
        /* Nor where the files stand open. */
        cr_assert_eq(chmod(g.runtime, 0755), 0);
        cr_assert_eq(chmod(g.dir, 0755), 0);
        cr_assert_eq(chmod(g.path, 0666), 0);
        const enum motet_err err = visit_as(&g, 65534);
        cr_expect(err == MOTET_E_PERMISSION || err == MOTET_E_DETACHED, "%s",
                  motet_err_name(err));
        OK(visit_as(&g, 0));
    }
    ground_stop(&g);
}

/* ---- the socket -----------------------------------------------------------
 */

struct opened {
    uv_loop_t loop;
    char why[512];
    char *allow_items[2];
    struct config_list allow;
};

static struct site *no_site(void *ctx)
{
    (void)ctx;
    return NULL;
}

static void no_log(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static struct attach *open_at(struct opened *o, const char *path)
{
    const struct attach_hooks hooks = {.site = no_site, .log = no_log};
    o->why[0] = '\0';
    return attach_open(&o->loop, path, &o->allow, &hooks, o->why,
                       sizeof o->why);
}

static void run_down(struct opened *o)
{
    (void)uv_run(&o->loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&o->loop), 0);
}

Test(attach_limits, the_socket_is_opened_with_care)
{
    struct opened o = {.allow = {.count = 0}};
    char dir[64] = "/tmp/motet-test-XXXXXX";
    char path[200];
    struct stat st;
    cr_assert_eq(uv_loop_init(&o.loop), 0);
    cr_assert_not_null(mkdtemp(dir));

    (void)snprintf(path, sizeof path, "%s/%0*d", dir, 107 - (int)strlen(dir),
                   7);
    cr_assert_eq(strlen(path), 108);
    cr_expect_null(open_at(&o, path));
    cr_expect_not_null(strstr(o.why, path), "names the path: %s", o.why);
    cr_expect_not_null(strstr(o.why, "107"), "%s", o.why);
    path[107] = '\0';
    struct attach *a = open_at(&o, path);
    cr_assert_not_null(a, "%s", o.why);
    attach_close(a);
    cr_expect_neq(lstat(path, &st), 0, "it was removed");

    (void)snprintf(path, sizeof path, "%s/file", dir);
    const int fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    cr_expect_null(open_at(&o, path));
    cr_expect_not_null(strstr(o.why, "no socket"), "%s", o.why);
    unlink(path);

    a = open_at(&o, path);
    cr_assert_not_null(a);
    cr_expect_null(open_at(&o, path), "it is in use");
    cr_expect_not_null(strstr(o.why, "listening"), "%s", o.why);
    /* What is there now is another's: it stays. */
    unlink(path);
    struct attach *b = open_at(&o, path);
    cr_assert_not_null(b);
    attach_close(a);
    cr_expect_eq(lstat(path, &st), 0);
    attach_close(b);

    /* Left by a process that died. */
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%.107s", path);
    const int dead = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    cr_assert_eq(bind(dead, (const struct sockaddr *)&addr, sizeof addr), 0);
    close(dead);
    a = open_at(&o, path);
    cr_assert_not_null(a, "%s", o.why);
    attach_close(a);

    cr_assert_eq(chmod(dir, 0777), 0);
    cr_expect_null(open_at(&o, path));
    cr_expect_not_null(strstr(o.why, dir), "%s", o.why);
    cr_assert_eq(chmod(dir, 0700), 0);
    rmdir(dir);
    run_down(&o);
}

Test(attach_limits, others_may_be_allowed)
{
    struct opened o = {.allow = {.count = 1}};
    char dir[64] = "/tmp/motet-test-XXXXXX";
    char path[200];
    struct stat st;
    cr_assert_eq(uv_loop_init(&o.loop), 0);
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/s", dir);
    static const char *const wrong[] = {
        "", "bob", "12x", "-1", "4294967295", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char item[32];
        (void)snprintf(item, sizeof item, "%s", wrong[i]);
        o.allow.items[0] = item;
        cr_expect_null(open_at(&o, path), "%s", wrong[i]);
        cr_expect_not_null(strstr(o.why, "user id"), "%s", o.why);
    }
    char item[] = "65534";
    o.allow.items[0] = item;
    struct attach *a = open_at(&o, path);
    cr_assert_not_null(a, "%s", o.why);
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0666, "the kernel says who it is");
    cr_assert_eq(stat(dir, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0711);
    attach_close(a);
    rmdir(dir);
    run_down(&o);
}

Test(attach_limits, nobody_attached_is_fine)
{
    const struct nuc_effect e = {.kind = NUC_SENT};
    attach_effect(NULL, &e);
    attach_flush(NULL);
    attach_rebirth(NULL);
    attach_close(NULL);
    cr_expect_eq(attach_count(NULL), 0);
}
