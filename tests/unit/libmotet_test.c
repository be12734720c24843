#include <criterion/criterion.h>
#include <motet/motet.h>
#include <sys/stat.h>

#include "attach_ground.h"
#include "sites/host/attach.h"

TestSuite(libmotet, .timeout = 60);

#define OK(expr) cr_assert_eq((expr), MOTET_OK, "%s", #expr)

/* Errors by name in what a failure prints. */
#define ERR(expr, wanted)                                       \
    do {                                                        \
        const enum motet_err got = (expr);                      \
        cr_assert(got == (wanted), "%s: %s, not %s", #expr,     \
                  motet_err_name(got), motet_err_name(wanted)); \
    } while (0)

static struct motet_out text(const char *s)
{
    return motet_body(s, strlen(s));
}

static bool says(const struct motet_msg *msg, const char *s)
{
    return msg->body_bytes == strlen(s) &&
           memcmp(msg->body, s, msg->body_bytes) == 0;
}

/* ---- refusals -------------------------------------------------------------
 */

Test(libmotet, null_handles_are_refused)
{
    struct motet *m;
    struct motet_port *port = NULL;
    struct motet_msg msg = {0};
    struct motet_event event;
    struct motet_cap cap = {0};
    struct motet_port_info info;
    struct motet_member member;
    struct motet_ui ui = {0};
    size_t count;
    uint64_t id;
    ERR(motet_attach("x", NULL), MOTET_E_INVALID);
    ERR(motet_attach_as("x", "no name", &m), MOTET_E_INVALID);
    ERR(motet_port_create(NULL, "a", &port), MOTET_E_INVALID);
    ERR(motet_port_enable(NULL, 0), MOTET_E_INVALID);
    ERR(motet_port_disable(NULL), MOTET_E_INVALID);
    ERR(motet_port_info(NULL, ui, &info), MOTET_E_INVALID);
    ERR(motet_group(NULL, "a", &cap), MOTET_E_INVALID);
    ERR(motet_group_insert(NULL, &cap), MOTET_E_INVALID);
    ERR(motet_group_remove(NULL, &cap), MOTET_E_INVALID);
    ERR(motet_group_list(NULL, ui, &member, 1, &count), MOTET_E_INVALID);
    ERR(motet_send(NULL, motet_to("a"), text("x"), 0), MOTET_E_INVALID);
    ERR(motet_try_send(NULL, motet_to("a"), text("x"), 0), MOTET_E_INVALID);
    ERR(motet_sendv(NULL, motet_to("a"), (struct motet_bytes){0}, NULL, 0, 0),
        MOTET_E_INVALID);
    ERR(motet_send_start(NULL, motet_to("a"), text("x"), 0, 1),
        MOTET_E_INVALID);
    ERR(motet_receive(NULL, &msg, 0), MOTET_E_INVALID);
    ERR(motet_receive_any(NULL, &msg, 0), MOTET_E_INVALID);
    ERR(motet_reply(NULL, "x", 1), MOTET_E_INVALID);
    ERR(motet_reply(&msg, "x", 1), MOTET_E_INVALID);
    ERR(motet_refuse(&msg, MOTET_E_PERMISSION), MOTET_E_INVALID);
    ERR(motet_forward(NULL, motet_to("a")), MOTET_E_INVALID);
    ERR(motet_save(NULL, &id), MOTET_E_INVALID);
    ERR(motet_restore(NULL, 1, &msg), MOTET_E_INVALID);
    ERR(motet_call(NULL, motet_to("a"), text("x"), &msg, 0), MOTET_E_INVALID);
    ERR(motet_call_from(NULL, motet_to("a"), text("x"), &msg, 0),
        MOTET_E_INVALID);
    ERR(motet_call_start(NULL, motet_to("a"), text("x"), 0, 1, &id),
        MOTET_E_INVALID);
    ERR(motet_cancel(NULL, 1), MOTET_E_INVALID);
    ERR(motet_watch(NULL, ui, &id), MOTET_E_INVALID);
    ERR(motet_unwatch(NULL, 1), MOTET_E_INVALID);
    ERR(motet_event(NULL, &event, 0), MOTET_E_INVALID);
    ERR(motet_dispatch(NULL), MOTET_E_INVALID);
    ERR(motet_prefetch(NULL, 1), MOTET_E_INVALID);
    ERR(motet_actor_find(NULL, "a", &ui), MOTET_E_INVALID);
    cr_expect_eq(motet_fd(NULL), -1);
    cr_expect_null(motet_own_port(NULL));
    cr_expect_str_eq(motet_site_name(NULL), "");
    cr_expect_eq(motet_body_max(NULL), 0);
    cr_expect(!motet_lost(NULL));
    motet_port_set_data(NULL, &m);
    cr_expect_null(motet_port_data(NULL));
    motet_port_delete(NULL);
    motet_msg_free(NULL);
    motet_msg_free(&msg);
    motet_detach(NULL);
}

Test(libmotet, arguments_are_refused)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port;
    char long_name[MOTET_NAME_MAX + 2];
    struct motet_bytes parts[MOTET_PARTS_MAX + 1] = {{0}};
    memset(long_name, 'a', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    ERR(motet_port_create(m, long_name, &port), MOTET_E_INVALID);
    ERR(motet_port_create(m, "", &port), MOTET_E_INVALID);
    ERR(motet_port_create(m, "a b", &port), MOTET_E_INVALID);
    cr_expect_null(port);
    long_name[MOTET_NAME_MAX] = '\0';
    OK(motet_port_create(m, long_name, &port));
    const struct motet_ui ui = motet_port_ui(port);
    ERR(motet_sendv(port, motet_to_ui(ui), parts[0], parts, MOTET_PARTS_MAX + 1,
                    0),
        MOTET_E_INVALID);
    OK(motet_sendv(port, motet_to_ui(ui), parts[0], parts, MOTET_PARTS_MAX, 0));
    char annex[MOTET_ANNEX_MAX + 1] = {0};
    ERR(motet_send(port, motet_to_ui(ui),
                   motet_annexed(annex, sizeof annex, NULL, 0), 0),
        MOTET_E_TOO_BIG);
    OK(motet_send(port, motet_to_ui(ui),
                  motet_annexed(annex, sizeof annex - 1, NULL, 0), 0));
    ERR(motet_send(port, motet_to_ui(ui),
                   motet_body(NULL, motet_body_max(m) + 1), 0),
        MOTET_E_TOO_BIG);
    ERR(motet_prefetch(m, 129), MOTET_E_INVALID);
    ERR(motet_cancel(m, 99), MOTET_E_STATE);
    cr_expect_neq(motet_send(port, motet_to("a b"), text("x"), 0), MOTET_OK,
                  "there is no such name");
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet, attaching_is_refused)
{
    struct motet *m = (struct motet *)&m;
    char path[200];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[108] = '\0';
    ERR(motet_attach(path, &m), MOTET_E_TOO_BIG);
    path[107] = '\0';
    ERR(motet_attach(path, &m), MOTET_E_NO_SITE);
    cr_expect_null(m);
    setenv("MOTET_RUNTIME_DIR", "/nonexistent", 1);
    unsetenv("MOTET_SITE");
    unsetenv("MOTET_CLUSTER");
    ERR(motet_attach(NULL, &m), MOTET_E_NO_SITE);
    ERR(motet_attach("paris", &m), MOTET_E_NO_SITE);
    ERR(motet_attach("ground/paris", &m), MOTET_E_NO_SITE);
    ERR(motet_attach("../paris", &m), MOTET_E_NO_SITE);
    ERR(motet_attach("ground/../x", &m), MOTET_E_INVALID);
    ERR(motet_attach("", &m), MOTET_E_INVALID);
    ERR(motet_attach("pa ris", &m), MOTET_E_INVALID);
    ERR(motet_attach("/", &m), MOTET_E_NO_SITE);
}

/* ---- paths ----------------------------------------------------------------
 */

Test(libmotet, paths)
{
    char path[MOTET_PATH_MAX];
    char dir[200];
    setenv("MOTET_RUNTIME_DIR", "/run/x", 1);
    OK(motet_socket_path("demo", "paris", path, sizeof path));
    cr_expect_str_eq(path, "/run/x/demo/paris.sock");
    ERR(motet_socket_path("demo", "paris", path, 22), MOTET_E_TOO_BIG);
    OK(motet_socket_path("demo", "paris", path, 23));
    ERR(motet_socket_path("demo", "a/b", path, sizeof path), MOTET_E_INVALID);
    ERR(motet_socket_path("..", "a", path, sizeof path), MOTET_E_INVALID);
    ERR(motet_socket_path(NULL, "a", path, sizeof path), MOTET_E_INVALID);
    OK(motet_runtime_dir(NULL, path, sizeof path));
    cr_expect_str_eq(path, "/run/x");

    /* 107 bytes are a socket's path, 108 are not. */
    memset(dir, 'd', sizeof dir);
    dir[0] = '/';
    dir[107 - strlen("/demo/paris.sock")] = '\0';
    char big[300];
    setenv("MOTET_RUNTIME_DIR", dir, 1);
    OK(motet_socket_path("demo", "paris", big, sizeof big));
    cr_expect_eq(strlen(big), 107);
    ERR(motet_socket_path("demo", "paris2", big, sizeof big), MOTET_E_TOO_BIG);
}

Test(libmotet, where)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m;
    setenv("MOTET_RUNTIME_DIR", g.runtime, 1);
    unsetenv("MOTET_SITE");
    unsetenv("MOTET_CLUSTER");
    static const char *const good[] = {NULL, "paris", "ground/paris"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        OK(motet_attach(good[i], &m));
        cr_expect_str_eq(motet_site_name(m), "paris");
        motet_detach(m);
    }
    ERR(motet_attach("rome", &m), MOTET_E_NO_SITE);
    ERR(motet_attach("other/paris", &m), MOTET_E_NO_SITE);
    setenv("MOTET_CLUSTER", "other", 1);
    ERR(motet_attach(NULL, &m), MOTET_E_NO_SITE);
    ERR(motet_attach("paris", &m), MOTET_E_NO_SITE);
    setenv("MOTET_CLUSTER", "ground", 1);
    OK(motet_attach(NULL, &m));
    motet_detach(m);
    setenv("MOTET_SITE", "rome", 1);
    ERR(motet_attach(NULL, &m), MOTET_E_NO_SITE);
    setenv("MOTET_SITE", g.path, 1);
    OK(motet_attach(NULL, &m));
    motet_detach(m);

    /* A second cluster: only what names one is clear. */
    char folder[100];
    char link_path[120];
    (void)snprintf(folder, sizeof folder, "%s/twin", g.runtime);
    (void)snprintf(link_path, sizeof link_path, "%s/paris.sock", folder);
    cr_assert_eq(mkdir(folder, 0700), 0);
    cr_assert_eq(symlink(g.path, link_path), 0);
    unsetenv("MOTET_SITE");
    unsetenv("MOTET_CLUSTER");
    ERR(motet_attach(NULL, &m), MOTET_E_AMBIGUOUS);
    ERR(motet_attach("paris", &m), MOTET_E_AMBIGUOUS);
    OK(motet_attach("twin/paris", &m));
    motet_detach(m);

    /* Not in a folder where anybody can put a socket. */
    cr_assert_eq(chmod(folder, 0777), 0);
    ERR(motet_attach("twin/paris", &m), MOTET_E_PERMISSION);
    unlink(link_path);
    rmdir(folder);
    ground_stop(&g);
}

/* ---- messages -------------------------------------------------------------
 */

Test(libmotet, a_message_arrives_whole)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *a = ground_attach(&g);
    struct motet *b = ground_attach(&g);
    struct motet_port *from = ground_port(a, NULL);
    struct motet_port *to = ground_port(b, "mail");
    struct motet_msg msg;
    OK(motet_send(from, motet_to("mail"), motet_annexed("ann", 3, "body", 4),
                  1000));
    OK(motet_receive(to, &msg, 1000));
    cr_expect_eq(msg.kind, MOTET_MSG_MESSAGE);
    cr_expect_eq(msg.port, to);
    cr_expect(motet_ui_equal(msg.source, motet_port_ui(from)));
    cr_expect(motet_ui_equal(msg.target, motet_ui_of_name("mail")));
    cr_expect_eq(msg.pi.uid, getuid());
    cr_expect_eq(msg.pi.gid, getgid());
    cr_expect_eq(msg.seq, 1);
    cr_expect_eq(msg.held, 0);
    cr_expect_eq(msg.annex_bytes, 3);
    cr_expect_arr_eq(msg.annex, "ann", 3);
    cr_expect(says(&msg, "body"));
    cr_expect_eq(motet_reply(&msg, "x", 1), MOTET_E_STATE, "not a call");
    motet_msg_free(&msg);
    cr_expect_null(msg.body);

    const struct motet_bytes parts[3] = {{"one", 3}, {NULL, 2}, {"two", 3}};
    OK(motet_sendv(from, motet_to_ui(motet_port_ui(to)),
                   (struct motet_bytes){0}, parts, 3, 1000));
    OK(motet_receive_any(b, &msg, 1000));
    cr_expect_eq(msg.body_bytes, 8);
    cr_expect_arr_eq(msg.body, "one\0\0two", 8);
    cr_expect(motet_ui_equal(msg.target, (struct motet_ui){0}));
    cr_expect_eq(msg.seq, 2);
    motet_detach(a);
    motet_detach(b);
    ground_stop(&g);
}

Test(libmotet, nothing_to_receive)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port = ground_port(m, NULL);
    struct motet_msg msg;
    struct motet_event event;
    ERR(motet_receive(port, &msg, 0), MOTET_E_TIMEOUT);
    ERR(motet_receive_any(m, &msg, 0), MOTET_E_TIMEOUT);
    ERR(motet_event(m, &event, 0), MOTET_E_TIMEOUT);
    uint64_t start = ground_ms();
    ERR(motet_receive(port, &msg, 60), MOTET_E_TIMEOUT);
    cr_expect_geq(ground_ms() - start, 59);
    start = ground_ms();
    ERR(motet_event(m, &event, 60), MOTET_E_TIMEOUT);
    cr_expect_geq(ground_ms() - start, 59);
    ERR(motet_send(port, motet_to("nobody"), text("x"), 50), MOTET_E_NO_MEMBER);
    ERR(motet_call(m, motet_to("nobody"), text("x"), &msg, 50),
        MOTET_E_NO_MEMBER);
    start = ground_ms();
    const enum motet_err err =
        motet_send(port, motet_to_waiting("nobody"), text("x"), 60);
    cr_expect_eq(motet_err_ran(err), MOTET_RAN_NO, "%s", motet_err_name(err));
    cr_expect_geq(ground_ms() - start, 59);
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet, a_disabled_port_waits_and_a_first_one_comes_first)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *low = ground_port(m, NULL);
    struct motet_port *high = ground_port(m, NULL);
    struct motet_port *off = ground_port(m, NULL);
    struct motet_msg msg;
    OK(motet_port_enable(low, 9));
    OK(motet_port_enable(high, 1));
    OK(motet_port_disable(off));
    OK(motet_send(low, motet_to_ui(motet_port_ui(low)), text("low"), 0));
    OK(motet_send(low, motet_to_ui(motet_port_ui(off)), text("off"), 0));
    OK(motet_send(low, motet_to_ui(motet_port_ui(high)), text("high"), 0));
    OK(motet_receive_any(m, &msg, 0));
    cr_expect(says(&msg, "high"));
    OK(motet_receive_any(m, &msg, 0));
    cr_expect(says(&msg, "low"));
    ERR(motet_receive_any(m, &msg, 0), MOTET_E_TIMEOUT);
    OK(motet_receive(off, &msg, 0));
    cr_expect(says(&msg, "off"));
    motet_detach(m);
    ground_stop(&g);
}

/* ---- calls ----------------------------------------------------------------
 */

struct server {
    struct ground *ground;
    const char *name;
    uint32_t calls; /* to answer, then it leaves */
    pthread_t thread;
    sem_t ready;
};

static void *serve(void *arg)
{
    struct server *s = arg;
    struct motet *m = ground_attach(s->ground);
    struct motet_port *port = ground_port(m, s->name);
    struct motet_msg msg;
    sem_post(&s->ready);
    for (uint32_t i = 0; i < s->calls; i++) {
        CHECK(motet_receive(port, &msg, MOTET_FOREVER) == MOTET_OK);
        CHECK(msg.kind == MOTET_MSG_CALL);
        CHECK(motet_reply(&msg, msg.body, msg.body_bytes) == MOTET_OK);
    }
    motet_detach(m);
    return NULL;
}

static void server_start(struct server *s)
{
    CHECK(sem_init(&s->ready, 0, 0) == 0);
    CHECK(pthread_create(&s->thread, NULL, serve, s) == 0);
    ground_wait(&s->ready);
}

Test(libmotet, a_call_is_answered)
{
    struct ground g = {0};
    ground_start(&g);
    struct server s = {.ground = &g, .name = "echo", .calls = 101};
    server_start(&s);
    struct motet *m = ground_attach(&g);
    struct motet_msg reply;
    for (int i = 0; i < 100; i++) {
        char word[16];
        (void)snprintf(word, sizeof word, "hello %d", i);
        OK(motet_call(m, motet_to("echo"), text(word), &reply, 5000));
        cr_assert(says(&reply, word));
        cr_assert_null(reply.port);
    }
    OK(motet_call(m, motet_to("echo"), text("quiet"), NULL, 5000));
    pthread_join(s.thread, NULL);
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet, a_call_nobody_answers_ends_by_its_deadline)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *other = ground_attach(&g);
    struct motet_port *port = ground_port(other, "deaf");
    struct motet_msg msg;
    uint64_t start = ground_ms();
    enum motet_err err = motet_call(m, motet_to("deaf"), text("x"), &msg, 80);
    uint64_t took = ground_ms() - start;
    cr_expect(err == MOTET_E_TIMEOUT || err == MOTET_E_MAYBE_TIMEOUT, "%s",
              motet_err_name(err));
    cr_expect(took >= 79 && took < 500, "%llu ms", (unsigned long long)took);

    /* Received, and not answered: it may have run. */
    uint64_t call;
    struct motet_event event;
    OK(motet_call_start(motet_own_port(m), motet_to("deaf"), text("y"), 200, 5,
                        &call));
    do {
        OK(motet_receive(port, &msg, 1000));
    } while (!says(&msg, "y"));
    cr_expect(msg.remaining_ms > 0 && msg.remaining_ms <= 200);
    OK(motet_event(m, &event, 2000));
    cr_expect_eq(event.kind, MOTET_EVENT_CALL_DONE);
    cr_expect_eq(event.err, MOTET_E_MAYBE_TIMEOUT);
    cr_expect_eq(event.token, 5);
    cr_expect_eq(event.call, call);
    cr_expect_null(event.reply);
    motet_detach(m);
    motet_detach(other);
    ground_stop(&g);
}

Test(libmotet, a_call_is_refused_forwarded_and_answered_late)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *first = ground_attach(&g);
    struct motet *second = ground_attach(&g);
    struct motet_port *from = ground_port(m, NULL);
    struct motet_port *front = ground_port(first, "front");
    struct motet_port *back = ground_port(second, "back");
    struct motet_msg msg;
    struct motet_msg kept;
    struct motet_event event;
    uint64_t call;
    uint64_t id;

    OK(motet_call_start(from, motet_to("front"), text("a"), 5000, 1, &call));
    OK(motet_receive(front, &msg, 1000));
    cr_expect_eq(msg.kind, MOTET_MSG_CALL);
    ERR(motet_refuse(&msg, MOTET_E_MAYBE_LOST), MOTET_E_INVALID);
    ERR(motet_refuse(&msg, MOTET_OK), MOTET_E_INVALID);
    OK(motet_refuse(&msg, MOTET_E_PERMISSION));
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.err, MOTET_E_PERMISSION);

    OK(motet_call_start(from, motet_to("front"), text("b"), 5000, 2, &call));
    OK(motet_receive(front, &msg, 1000));
    ERR(motet_forward(&msg, motet_to("nobody")), MOTET_E_NO_MEMBER);
    OK(motet_forward(&msg, motet_to("back")));
    ERR(motet_forward(&msg, motet_to("back")), MOTET_E_STATE);
    OK(motet_receive(back, &msg, 1000));
    cr_expect(motet_ui_equal(msg.source, motet_port_ui(from)),
              "the caller's identity");
    OK(motet_reply(&msg, "from behind", 11));
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.err, MOTET_OK);
    cr_assert_not_null(event.reply);
    cr_expect_eq(event.reply->body_bytes, 11);
    cr_expect_arr_eq(event.reply->body, "from behind", 11);

    OK(motet_call_start(from, motet_to("front"), text("later"), 5000, 3,
                        &call));
    OK(motet_receive(front, &msg, 1000));
    OK(motet_save(&msg, &id));
    ERR(motet_receive(front, &kept, 0), MOTET_E_TIMEOUT);
    ERR(motet_restore(first, id + 1, &kept), MOTET_E_STATE);
    OK(motet_restore(first, id, &kept));
    cr_expect(says(&kept, "later"));
    cr_expect_eq(kept.port, front);
    OK(motet_reply(&kept, kept.body, kept.body_bytes));
    motet_msg_free(&kept);
    ERR(motet_restore(first, id, &kept), MOTET_E_STATE);
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.token, 3);
    cr_expect_arr_eq(event.reply->body, "later", 5);
    motet_detach(m);
    motet_detach(first);
    motet_detach(second);
    ground_stop(&g);
}

Test(libmotet, a_cancelled_call_reaches_the_server)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *s = ground_attach(&g);
    struct motet_port *port = ground_port(s, "slow");
    struct motet_msg msg;
    struct motet_event event;
    uint64_t call;
    OK(motet_call_start(motet_own_port(m), motet_to("slow"), text("x"),
                        MOTET_FOREVER, 1, &call));
    OK(motet_receive(port, &msg, 1000));
    cr_expect_eq(msg.remaining_ms, 0, "no deadline");
    OK(motet_cancel(m, call));
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_CALL_DONE);
    cr_expect_eq(event.err, MOTET_E_MAYBE_CANCELLED);
    ERR(motet_cancel(m, call), MOTET_E_STATE);

    OK(motet_dispatch(s));
    struct motet_ui nobody;
    ERR(motet_actor_find(s, "nobody", &nobody), MOTET_E_NO_ACTOR);
    cr_expect_eq(motet_reply(&msg, "x", 1), MOTET_E_STATE);
    OK(motet_event(s, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_CANCELLED);
    cr_expect_eq(event.held, msg.held);
    motet_detach(m);
    motet_detach(s);
    ground_stop(&g);
}

/* ---- large and many -------------------------------------------------------
 */

static void fill(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 31 + i / 257);
    }
}

Test(libmotet, large_bodies_both_ways)
{
    struct ground g = {0};
    ground_start(&g);
    struct server s = {.ground = &g, .name = "echo", .calls = 3};
    server_start(&s);
    struct motet *m = ground_attach(&g);
    static const size_t sizes[] = {100000, 5 << 20, MOTET_BODY_DEFAULT};
    uint8_t *body = malloc(MOTET_BODY_DEFAULT);
    cr_assert_not_null(body);
    fill(body, MOTET_BODY_DEFAULT);
    cr_expect_eq(motet_body_max(m), (size_t)MOTET_BODY_DEFAULT);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct motet_msg reply;
        OK(motet_call(m, motet_to("echo"), motet_body(body, sizes[i]), &reply,
                      20000));
        cr_assert_eq(reply.body_bytes, sizes[i]);
        cr_expect_eq(memcmp(reply.body, body, sizes[i]), 0, "%zu", sizes[i]);
    }
    free(body);
    pthread_join(s.thread, NULL);
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet, a_full_queue_pushes_back)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *a = ground_attach(&g);
    struct motet *b = ground_attach(&g);
    struct motet_port *from = ground_port(a, NULL);
    struct motet_port *to;
    struct motet_msg msg;
    struct motet_event event;
    struct motet_port_info info;
    OK(motet_port_create_limited(b, "small", 3, 0, &to));
    for (int i = 0; i < 3; i++) {
        OK(motet_try_send(from, motet_to("small"), text("x"), 1000));
    }
    OK(motet_port_info(a, motet_port_ui(to), &info));
    cr_expect_eq(info.queue_msgs, 3);
    cr_expect_eq(info.queue_msgs_max, 3);
    ERR(motet_try_send(from, motet_to("small"), text("y"), 1000),
        MOTET_E_AGAIN);
    const uint64_t start = ground_ms();
    const enum motet_err err =
        motet_send(from, motet_to("small"), text("y"), 60);
    cr_expect_eq(motet_err_ran(err), MOTET_RAN_NO, "%s", motet_err_name(err));
    cr_expect_geq(ground_ms() - start, 59);

    OK(motet_receive(to, &msg, 1000));
    OK(motet_receive(to, &msg, 1000));
    OK(motet_event(a, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_ROOM);
    cr_expect(motet_ui_equal(event.port, motet_port_ui(from)));
    OK(motet_try_send(from, motet_to("small"), text("y"), 1000));
    OK(motet_try_send(from, motet_to("small"), text("y"), 1000));

    /* One that waits is let in when there is room, in its turn. */
    OK(motet_send_start(from, motet_to("small"), text("z"), 5000, 77));
    ERR(motet_event(a, &event, 30), MOTET_E_TIMEOUT);
    OK(motet_receive(to, &msg, 1000));
    OK(motet_event(a, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_SENT);
    cr_expect_eq(event.err, MOTET_OK);
    cr_expect_eq(event.token, 77);
    OK(motet_receive(to, &msg, 1000));
    OK(motet_receive(to, &msg, 1000));
    cr_expect(says(&msg, "y"));
    OK(motet_receive(to, &msg, 1000));
    cr_expect(says(&msg, "z"));
    motet_detach(a);
    motet_detach(b);
    ground_stop(&g);
}

/* More than the socket takes is on its way to a program that is busy sending
 * itself: nobody waits for the other for ever. */
Test(libmotet, both_directions_full_at_once)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *a = ground_attach(&g);
    struct motet_port *port;
    enum { COUNT = 60, SIZE = 60000 };
    uint8_t *body = malloc(SIZE);
    struct motet_msg msg;
    struct motet_event event;
    cr_assert_not_null(body);
    fill(body, SIZE);
    OK(motet_port_create_limited(a, NULL, COUNT, COUNT * (SIZE + 200), &port));
    OK(motet_prefetch(a, 128));
    for (uint64_t i = 0; i < COUNT; i++) {
        body[0] = (uint8_t)i;
        OK(motet_send_start(port, motet_to_ui(motet_port_ui(port)),
                            motet_body(body, SIZE), 10000, i));
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        OK(motet_event(a, &event, 10000));
        cr_assert_eq(event.err, MOTET_OK);
        cr_assert_eq(event.token, i);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        OK(motet_receive_any(a, &msg, 10000));
        cr_assert_eq(((const uint8_t *)msg.body)[0], i, "in order");
        cr_assert_eq(memcmp((const uint8_t *)msg.body + 1, body + 1, SIZE - 1),
                     0);
    }
    free(body);
    motet_detach(a);
    ground_stop(&g);
}

/* ---- groups and watches ---------------------------------------------------
 */

Test(libmotet, groups)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *ports[70];
    struct motet_member members[100];
    struct motet_cap group;
    struct motet_cap wrong;
    struct motet_msg msg;
    size_t count;
    OK(motet_group(m, NULL, &group));
    cr_expect_neq(group.key, 0);
    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        ports[i] = ground_port(m, NULL);
        OK(motet_group_insert(ports[i], &group));
    }
    wrong = group;
    wrong.key++;
    ERR(motet_group_insert(ports[0], &wrong), MOTET_E_PERMISSION);
    OK(motet_group_insert(ports[0], &group));
    OK(motet_group_list(m, group.ui, members, 100, &count));
    cr_assert_eq(count, 70);
    for (size_t i = 0; i < count; i++) {
        cr_expect(motet_ui_equal(members[i].port, motet_port_ui(ports[i])));
        cr_expect(motet_ui_equal(members[i].site, motet_site_ui(m)));
    }
    OK(motet_group_list(m, group.ui, members, 65, &count));
    cr_expect_eq(count, 65);
    OK(motet_group_remove(ports[1], &group));
    ERR(motet_group_remove(ports[1], &group), MOTET_E_NO_MEMBER);
    OK(motet_send(ports[1], motet_to_all(group.ui), text("all"), 1000));
    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        ERR(motet_receive(ports[i], &msg, 0),
            i == 1 ? MOTET_E_TIMEOUT : MOTET_OK);
    }
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet, a_watch_hears_the_end_after_the_last_message)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *a = ground_attach(&g);
    struct motet_port *watcher = ground_port(a, NULL);
    struct motet_msg msg;
    uint64_t watches[2];
    for (int i = 0; i < 2; i++) {
        struct motet *b = ground_attach(&g);
        struct motet_port *port = ground_port(b, NULL);
        const struct motet_ui ui = motet_port_ui(port);
        OK(motet_watch(watcher, ui, &watches[i]));
        OK(motet_send(port, motet_to_ui(motet_port_ui(watcher)), text("last"),
                      1000));
        if (i == 0) {
            motet_port_delete(port);
        }
        motet_detach(b);
        OK(motet_receive(watcher, &msg, 1000));
        cr_expect(says(&msg, "last"));
        OK(motet_receive(watcher, &msg, 1000));
        cr_expect_eq(msg.kind, MOTET_MSG_NEWS);
        cr_expect_eq(msg.news, MOTET_NEWS_CLOSED);
        cr_expect_eq(msg.watch, watches[i]);
        cr_expect(motet_ui_equal(msg.subject, ui));
        cr_expect_eq(motet_reply(&msg, "x", 1), MOTET_E_STATE);
    }
    struct motet_port *other = ground_port(a, NULL);
    uint64_t watch;
    OK(motet_watch(watcher, motet_port_ui(other), &watch));
    OK(motet_unwatch(a, watch));
    motet_port_delete(other);
    ERR(motet_receive(watcher, &msg, 30), MOTET_E_TIMEOUT);
    motet_detach(a);
    ground_stop(&g);
}

/* ---- the end of others ----------------------------------------------------
 */

Test(libmotet, a_deleted_port_says_what_was_not_executed)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *s = ground_attach(&g);
    struct motet_port *port = ground_port(s, "brief");
    struct motet_msg msg;
    struct motet_event event;
    uint64_t call;
    OK(motet_prefetch(s, 4));
    OK(motet_call_start(motet_own_port(m), motet_to("brief"), text("1"), 5000,
                        1, &call));
    OK(motet_call_start(motet_own_port(m), motet_to("brief"), text("2"), 5000,
                        2, &call));
    OK(motet_receive(port, &msg, 1000));
    /* The second one waits in this program, never seen: it did not run. */
    motet_port_delete(port);
    for (int i = 0; i < 2; i++) {
        OK(motet_event(m, &event, 1000));
        cr_expect_eq(event.kind, MOTET_EVENT_CALL_DONE);
        cr_expect_neq(event.err, MOTET_OK);
        if (event.token == 2) {
            cr_expect_eq(motet_err_ran(event.err), MOTET_RAN_NO, "%s",
                         motet_err_name(event.err));
        }
    }
    motet_detach(m);
    motet_detach(s);
    ground_stop(&g);
}

Test(libmotet, a_lost_site_ends_everything)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *s = ground_attach(&g);
    struct motet_port *port = ground_port(s, "gone");
    struct motet_port *from = ground_port(m, NULL);
    struct motet_msg msg;
    struct motet_event event;
    uint64_t call;
    OK(motet_call_start(from, motet_to("gone"), text("x"), MOTET_FOREVER, 4,
                        &call));
    OK(motet_receive(port, &msg, 1000));
    ground_tell(&g, GROUND_REBIRTH);
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_CALL_DONE);
    cr_expect_eq(event.err, MOTET_E_MAYBE_DETACHED);
    cr_expect_eq(event.token, 4);
    ERR(motet_event(m, &event, 1000), MOTET_E_DETACHED);
    ERR(motet_receive(port, &msg, 1000), MOTET_E_DETACHED);
    ERR(motet_send(from, motet_to("gone"), text("x"), 1000), MOTET_E_DETACHED);
    ERR(motet_call(m, motet_to("gone"), text("x"), &msg, 1000),
        MOTET_E_DETACHED);
    ERR(motet_send_start(from, motet_to("gone"), text("x"), 1000, 1),
        MOTET_E_DETACHED);
    ERR(motet_dispatch(m), MOTET_E_DETACHED);
    cr_expect(motet_lost(m));
    struct motet_port *more;
    ERR(motet_port_create(m, NULL, &more), MOTET_E_DETACHED);
    motet_detach(m);
    motet_detach(s);

    /* The next life takes new attachments on the same socket. */
    m = ground_attach(&g);
    port = ground_port(m, "gone");
    OK(motet_send(port, motet_to("gone"), text("again"), 1000));
    OK(motet_receive(port, &msg, 1000));
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet, what_came_before_the_end_can_still_be_read)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port = ground_port(m, NULL);
    struct motet_msg msg;
    OK(motet_prefetch(m, 2));
    OK(motet_send(port, motet_to_ui(motet_port_ui(port)), text("x"), 1000));
    struct motet_ui ui;
    ERR(motet_actor_find(m, "none", &ui), MOTET_E_NO_ACTOR);
    ground_stop(&g);
    OK(motet_receive(port, &msg, 1000));
    cr_expect(says(&msg, "x"));
    ERR(motet_receive(port, &msg, 1000), MOTET_E_DETACHED);
    motet_detach(m);
}

Test(libmotet, a_frozen_site_does_not_hold_a_call_past_its_deadline)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port = ground_port(m, "me");
    struct motet_msg msg;
    cr_assert_not_null(motet_own_port(m));
    ground_tell(&g, GROUND_FREEZE);
    uint64_t start = ground_ms();
    ERR(motet_call(m, motet_to("me"), text("x"), &msg, 100),
        MOTET_E_MAYBE_TIMEOUT);
    cr_expect(ground_ms() - start < 300);
    start = ground_ms();
    ERR(motet_send(port, motet_to("me"), text("x"), 100),
        MOTET_E_MAYBE_TIMEOUT);
    cr_expect(ground_ms() - start < 300);

    /* Too much for the socket: what was not wholly written is void. */
    ERR(motet_send(port, motet_to("me"), motet_body(NULL, 8 << 20), 100),
        MOTET_E_TIMEOUT);
    ground_thaw(&g);
    OK(motet_send(port, motet_to("me"), text("after"), 1000));
    int small = 0;
    do {
        OK(motet_receive(port, &msg, 1000));
        cr_expect_leq(msg.body_bytes, 5, "the void one has not come");
        small++;
    } while (!says(&msg, "after"));
    cr_expect_leq(small, 3);
    motet_detach(m);
    ground_stop(&g);
}

/* ---- in a foreign loop ----------------------------------------------------
 */

static bool readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

Test(libmotet, a_descriptor_for_foreign_loops)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *other = ground_attach(&g);
    struct motet_port *port = ground_port(m, "loop");
    struct motet_port *from = ground_port(other, NULL);
    struct motet_msg msg;
    struct motet_event event;
    struct motet_ui ui;
    const int fd = motet_fd(m);
    cr_assert_geq(fd, 0);
    cr_expect_eq(motet_fd(m), fd);
    OK(motet_prefetch(m, 2));
    cr_expect(!readable(fd, 0));

    for (int i = 0; i < 5; i++) {
        OK(motet_send(from, motet_to("loop"), text("x"), 1000));
    }
    for (int i = 0; i < 5; i++) {
        cr_assert(readable(fd, 1000), "message %d", i);
        OK(motet_dispatch(m));
        cr_assert(readable(fd, 0), "not yet received");
        OK(motet_receive_any(m, &msg, 0));
        cr_expect_eq(msg.seq, (uint64_t)i + 1);
    }
    OK(motet_dispatch(m));
    ERR(motet_receive_any(m, &msg, 0), MOTET_E_TIMEOUT);
    cr_expect(!readable(fd, 20));

    /* What came while the library waited for something else. */
    OK(motet_send(from, motet_to("loop"), text("y"), 1000));
    ERR(motet_actor_find(m, "none", &ui), MOTET_E_NO_ACTOR);
    cr_expect(readable(fd, 0));
    OK(motet_receive_any(m, &msg, 0));
    cr_expect(!readable(fd, 0));

    OK(motet_send_start(port, motet_to("nobody"), text("x"), 1000, 3));
    cr_expect(readable(fd, 1000));
    OK(motet_dispatch(m));
    OK(motet_event(m, &event, 0));
    cr_expect_eq(event.err, MOTET_E_NO_MEMBER);
    cr_expect_eq(event.token, 3);
    cr_expect(!readable(fd, 0));

    OK(motet_prefetch(m, 0));
    ERR(motet_actor_find(m, "none", &ui), MOTET_E_NO_ACTOR);
    while (readable(fd, 50)) { /* the ends of what was outstanding */
        OK(motet_dispatch(m));
    }
    OK(motet_send(from, motet_to("loop"), text("z"), 1000));
    cr_expect(!readable(fd, 30), "it was not asked for");
    OK(motet_receive_any(m, &msg, 0));
    motet_detach(m);
    motet_detach(other);
    ground_stop(&g);
}

Test(libmotet, an_actor_has_a_name)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m;
    struct motet *twin;
    struct motet_ui ui;
    OK(motet_attach_as(g.path, "web", &m));
    cr_expect_neq(motet_attach_as(g.path, "web", &twin), MOTET_OK);
    OK(motet_actor_find(m, "web", &ui));
    cr_expect(motet_ui_equal(ui, motet_ui(m)));
    motet_detach(m);
    OK(motet_attach_as(g.path, "web", &m));
    motet_detach(m);
    ground_stop(&g);
}
