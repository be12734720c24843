#include "netmgr/core/netmgr.h"
#include "netmgr_one.h"

/* The HELLO rules: refusals first. */

TestSuite(netmgr_hello, .timeout = 20);

static void no_change(struct net_hello *h)
{
    (void)h;
}
static void newer_version(struct net_hello *h)
{
    h->version_min = NET_VERSION_MAX + 1;
    h->version_max = NET_VERSION_MAX + 2;
}
static void version_zero(struct net_hello *h)
{
    h->version_min = h->version_max = 0;
}
static void versions_swapped(struct net_hello *h)
{
    h->version_min = NET_VERSION_MAX;
    h->version_max = NET_VERSION_MAX - 1;
}
static void other_cluster(struct net_hello *h)
{
    strcpy(h->cluster, "tess");
}
static void secure(struct net_hello *h)
{
    h->insecure = false;
}
static void no_site(struct net_hello *h)
{
    h->site = 0;
}
static void no_incarnation(struct net_hello *h)
{
    h->incarnation = 0;
}
static void unended_name(struct net_hello *h)
{
    memset(h->name, 'x', sizeof(h->name));
}
static void meant_for_other(struct net_hello *h)
{
    h->to_site = ONE_SITE + 1;
}
static void our_name(struct net_hello *h)
{
    strcpy(h->name, "here");
}
static void our_site(struct net_hello *h)
{
    h->site = ONE_SITE;
    h->incarnation = ONE_INCARNATION + 1;
}
static void bulk_first(struct net_hello *h)
{
    h->lane = NET_BULK;
}
static void to_a_seed(struct net_hello *h)
{
    h->to_site = 0;
}
static void wide_versions(struct net_hello *h)
{
    h->version_max = 9;
}

struct row {
    const char *reason;
    void (*change)(struct net_hello *h);
    uint64_t verified;
    enum motet_err refused; /* MOTET_OK = adopted */
};

static const struct row rows[] = {
    {"only newer versions", newer_version, 0, MOTET_E_VERSION},
    {"only older versions", version_zero, 0, MOTET_E_VERSION},
    {"no range of versions", versions_swapped, 0, MOTET_E_VERSION},
    {"another cluster", other_cluster, 0, MOTET_E_AUTH},
    {"secure meets insecure", secure, 0, MOTET_E_AUTH},
    {"not the verified site", no_change, ONE_PEER + 1, MOTET_E_AUTH},
    {"site zero", no_site, 0, MOTET_E_AUTH},
    {"incarnation zero", no_incarnation, 0, MOTET_E_AUTH},
    {"a name without an end", unended_name, 0, MOTET_E_AUTH},
    {"another site was meant", meant_for_other, 0, MOTET_E_AUTH},
    {"a name that is taken", our_name, 0, MOTET_E_NAME_TAKEN},
    {"a copy of this site", our_site, 0, MOTET_E_TWIN},
    {"bulk before control", bulk_first, 0, MOTET_E_AGAIN},
    {"nothing wrong", no_change, 0, MOTET_OK},
    {"the verified site", no_change, ONE_PEER, MOTET_OK},
    {"it dialed a seed", to_a_seed, 0, MOTET_OK},
    {"newer versions as well", wide_versions, 0, MOTET_OK},
};

Test(netmgr_hello, strangers)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct one o;
        one_new(&o);
        struct net_hello h = one_hello();
        rows[i].change(&h);
        cr_assert_eq(one_step(&o, (struct net_in){.kind = NET_IN_CONN_UP,
                                                  .conn = 1,
                                                  .site = rows[i].verified}),
                     MOTET_OK);
        one_give_hello(&o, 1, &h);
        const struct one_effect *r = one_frame(&o, NET_REFUSE, 0);
        enum motet_err said = r == NULL ? MOTET_OK : r->refuse.err;
        cr_expect_eq(said, rows[i].refused, "%s: %s", rows[i].reason,
                     motet_err_name(said));
        bool up = one_effect(&o, NET_SESSION, 0) != NULL;
        cr_expect_eq(up, rows[i].refused == MOTET_OK, "%s", rows[i].reason);
        bool closed = one_effect(&o, NET_CLOSE, 0) != NULL;
        cr_expect_eq(closed, rows[i].refused != MOTET_OK, "%s", rows[i].reason);
        one_free(&o);
    }
}

Test(netmgr_hello, a_secure_site_wants_a_certificate)
{
    struct one o;
    one_init(&o);
    struct netmgr_config cfg = one_config(&o);
    cfg.insecure = false;
    one_create(&o, &cfg);
    struct net_hello h = one_hello();
    h.insecure = false;
    one_meet(&o, 1, &h);
    cr_assert_eq(one_frame(&o, NET_REFUSE, 0)->refuse.err, MOTET_E_AUTH);
    one_free(&o);
}

Test(netmgr_hello, a_name_taken_by_another_names_both)
{
    struct one o;
    one_session(one_new(&o));
    struct net_hello h = one_hello();
    h.site = ONE_PEER + 1;
    strcpy(h.address, "third:1");
    one_meet(&o, 2, &h);
    const struct one_effect *r = one_frame(&o, NET_REFUSE, 0);
    cr_assert_eq(r->refuse.err, MOTET_E_NAME_TAKEN);
    cr_assert_str_eq(r->refuse.detail, "there is at there:1, not at third:1");
    cr_assert_eq(one_effect(&o, NET_REFUSED_PEER, 0)->e.err,
                 MOTET_E_NAME_TAKEN);
    one_free(&o);
}

Test(netmgr_hello, nothing_before_hello)
{
    struct one o;
    one_new(&o);
    one_accept(&o, 1);
    one_give(&o, 1, (struct net_frame){.kind = NET_PING, .u = {.ping = 1}});
    cr_assert_eq(one_effect(&o, NET_STRANGER, 0)->e.err, MOTET_E_PROTOCOL);
    cr_assert_eq(one_effect(&o, NET_CLOSE, 0)->e.conn, 1);
    one_free(&o);
}

Test(netmgr_hello, an_answer_to_nothing)
{
    struct one o;
    one_new(&o);
    struct net_hello h = one_hello();
    h.answer = true;
    one_meet(&o, 1, &h);
    cr_assert(one_effect(&o, NET_STRANGER, 0) != NULL);
    one_free(&o);
}

Test(netmgr_hello, hello_twice)
{
    struct one o;
    one_session(one_new(&o));
    struct net_hello h = one_hello();
    one_give_hello(&o, 1, &h);
    cr_assert(one_effect(&o, NET_STRANGER, 0) != NULL);
    cr_assert(one_effect(&o, NET_SESSION, 0) == NULL, "it may heal at once");
    one_wait(&o, 100);
    cr_assert_eq(one_effect(&o, NET_SESSION, 0)->e.up, false);
    one_free(&o);
}

Test(netmgr_hello, three_seconds_for_it)
{
    struct one o;
    one_new(&o);
    one_accept(&o, 1);
    one_wait(&o, 2999);
    cr_assert(one_effect(&o, NET_CLOSE, 0) == NULL);
    one_wait(&o, 1);
    cr_assert_eq(one_effect(&o, NET_CLOSE, 0)->e.conn, 1);
    one_free(&o);
}

Test(netmgr_hello, an_older_incarnation_is_stale)
{
    struct one o;
    one_session(one_new(&o));
    one_down(&o, 1);
    struct net_hello h = one_hello();
    h.incarnation = 19;
    one_meet(&o, 2, &h);
    const struct one_effect *r = one_frame(&o, NET_REFUSE, 0);
    cr_assert_eq(r->refuse.err, MOTET_E_STALE);
    cr_assert_eq(r->refuse.incarnation, 21);
    one_free(&o);
}

Test(netmgr_hello, three_seconds_without_an_answer)
{
    struct one o;
    one_session(one_new(&o));
    for (int i = 0; i < 5; i++) {
        one_wait(&o, 500);
        cr_assert(one_effect(&o, NET_CLOSE, 0) == NULL);
    }
    one_wait(&o, 500);
    cr_assert_eq(one_effect(&o, NET_CLOSE, 0)->e.conn, 1);
    one_wait(&o, 100);
    cr_assert_eq(one_effect(&o, NET_SESSION, 0)->e.up, false);
    one_free(&o);
}

Test(netmgr_hello, a_late_loop_blames_nobody)
{
    struct one o;
    one_session(one_new(&o));
    one_wait(&o, 20000);
    cr_assert(one_effect(&o, NET_CLOSE, 0) == NULL);
    for (int i = 0; i < 6; i++) {
        one_wait(&o, 500);
    }
    cr_assert(one_effect(&o, NET_CLOSE, 0) != NULL);
    one_free(&o);
}

Test(netmgr_hello, a_dead_incarnation_is_stale)
{
    struct one o;
    one_session(one_new(&o));
    one_dead(&o, 20);
    cr_assert_eq(one_effect(&o, NET_CLOSE, 0)->e.conn, 1);
    struct net_hello h = one_hello();
    one_meet(&o, 2, &h);
    const struct one_effect *r = one_frame(&o, NET_REFUSE, 0);
    cr_assert_eq(r->refuse.err, MOTET_E_STALE);
    cr_assert_eq(r->refuse.incarnation, 21);
    h.incarnation = 21;
    one_meet(&o, 3, &h);
    cr_assert(one_effect(&o, NET_SESSION, 0)->e.up);
    one_free(&o);
}

struct heal {
    const char *reason;
    bool dead_here, dead_there;
    uint32_t view_sites; /* of the peer; here: 3, lowest 5 */
    uint64_t view_lowest;
    enum motet_err said;
    bool reborn; /* this site is to be */
};

static const struct heal heals[] = {
    {"dead here only: small", true, false, 1, 7, MOTET_E_STALE, false},
    {"dead here only: large", true, false, 9, 1, MOTET_E_STALE, false},
    {"dead there only", false, true, 1, 7, MOTET_E_AGAIN, true},
    {"both, it is smaller", true, true, 2, 1, MOTET_E_STALE, false},
    {"both, it is larger", true, true, 4, 7, MOTET_E_AGAIN, true},
    {"both, as large, higher lowest", true, true, 3, 7, MOTET_E_STALE, false},
    {"both, as large, lower lowest", true, true, 3, 1, MOTET_E_AGAIN, true},
    {"neither", false, false, 9, 1, MOTET_OK, false},
};

Test(netmgr_hello, a_healed_partition)
{
    for (size_t i = 0; i < ARRAY_LEN(heals); i++) {
        struct one o;
        one_session(one_new(&o));
        (void)!one_step(&o, (struct net_in){.kind = NET_IN_VIEW,
                                            .view_sites = 3,
                                            .view_lowest = 5});
        one_down(&o, 1);
        if (heals[i].dead_here) {
            one_dead(&o, 20);
        }
        struct net_hello h = one_hello();
        h.view_sites = heals[i].view_sites;
        h.view_lowest = heals[i].view_lowest;
        h.to_incarnation = ONE_INCARNATION;
        h.features = heals[i].dead_there ? NET_HELLO_DEAD : 0;
        one_meet(&o, 2, &h);
        const struct one_effect *r = one_frame(&o, NET_REFUSE, 0);
        const struct one_effect *us = one_effect(&o, NET_REFUSED_US, 0);
        enum motet_err said = r == NULL ? MOTET_OK : r->refuse.err;
        cr_expect_eq(said, heals[i].said, "%s", heals[i].reason);
        cr_expect_eq(us != NULL, heals[i].reborn, "%s", heals[i].reason);
        if (us != NULL) {
            cr_expect_eq(us->e.err, MOTET_E_STALE);
            cr_expect_eq(us->e.incarnation, ONE_INCARNATION + 1);
        }
        one_free(&o);
    }
}

/* A newcomer while the present one answers. */
Test(netmgr_hello, a_twin)
{
    struct one o;
    one_session(one_new(&o));
    one_pong(&o, 1, o.now);
    o.now += 10 * ONE_MS;
    struct net_hello h = one_hello();
    h.incarnation = 21;
    strcpy(h.address, "copy:1");
    one_meet(&o, 2, &h);
    cr_assert_eq(one_frame(&o, NET_REFUSE, 0)->refuse.err, MOTET_E_AGAIN);
    const struct one_effect *ping = one_frame(&o, NET_PING, 0);
    cr_assert_eq(ping->e.conn, 1);
    one_pong(&o, 1, ping->e.frame.u.ping);
    o.now += 1000 * ONE_MS;
    one_meet(&o, 3, &h);
    const struct one_effect *r = one_frame(&o, NET_REFUSE, 0);
    cr_assert_eq(r->refuse.err, MOTET_E_TWIN);
    cr_assert_str_eq(r->refuse.detail, "there runs at there:1, and at copy:1");
    cr_assert(one_effect(&o, NET_SUPERSEDED, 0) == NULL);
    one_free(&o);
}

Test(netmgr_hello, a_twin_with_the_same_incarnation)
{
    struct one o;
    one_session(one_new(&o));
    struct net_hello h = one_hello();
    strcpy(h.address, "copy:1");
    one_meet(&o, 2, &h);
    cr_assert_eq(one_frame(&o, NET_REFUSE, 0)->refuse.err, MOTET_E_AGAIN);
    one_pong(&o, 1, o.now);
    o.now += 1000 * ONE_MS;
    one_meet(&o, 3, &h);
    cr_assert_eq(one_frame(&o, NET_REFUSE, 0)->refuse.err, MOTET_E_TWIN);
    one_free(&o);
}

Test(netmgr_hello, the_present_one_does_not_answer)
{
    struct one o;
    one_session(one_new(&o));
    struct net_hello h = one_hello();
    h.incarnation = 21;
    one_meet(&o, 2, &h);
    cr_assert_eq(one_frame(&o, NET_REFUSE, 0)->refuse.err, MOTET_E_AGAIN);
    o.now += 500 * ONE_MS; /* too early */
    one_meet(&o, 3, &h);
    cr_assert_eq(one_frame(&o, NET_REFUSE, 0)->refuse.err, MOTET_E_AGAIN);
    o.now += 500 * ONE_MS;
    one_meet(&o, 4, &h);
    cr_assert_eq(one_effect(&o, NET_SUPERSEDED, 0)->e.incarnation, 20);
    cr_assert_eq(one_effect(&o, NET_CLOSE, 0)->e.conn, 1);
    cr_assert_eq(one_effect(&o, NET_SESSION, 0)->e.up, false);
    const struct one_effect *up = one_effect(&o, NET_SESSION, 1);
    cr_assert(up->e.up);
    cr_assert_eq(up->e.incarnation, 21);
    one_free(&o);
}

Test(netmgr_hello, a_reconnection_replaces_the_old_connection)
{
    struct one o;
    one_session(one_new(&o));
    struct net_hello h = one_hello();
    one_meet(&o, 2, &h);
    cr_assert_eq(one_effect(&o, NET_CLOSE, 0)->e.conn, 1);
    cr_assert(one_effect(&o, NET_SESSION, 0) == NULL); /* the same session */
    cr_assert(one_frame(&o, NET_HELLO, 0)->hello.answer);
    one_free(&o);
}

/* Eight violations in a minute: nothing is heard for half a minute. */
Test(netmgr_hello, a_peer_that_misbehaves_is_banned)
{
    struct one o;
    one_new(&o);
    struct net_hello h = one_hello();
    uint64_t conn = 1;
    for (int i = 0; i < 8; i++) {
        one_meet(&o, conn, &h);
        cr_assert(one_effect(&o, NET_SESSION, 0) != NULL, "%d", i);
        (void)!one_step(
            &o, (struct net_in){.kind = NET_IN_VIOLATION, .conn = conn});
        cr_assert_eq(one_effect(&o, NET_STRANGER, 0)->e.conn, conn);
        conn++;
        one_wait(&o, 100);
        o.now += 6900 * ONE_MS;
    }
    o.now -= 7000 * ONE_MS;
    for (int i = 0; i < 2; i++) {
        one_meet(&o, conn, &h);
        const struct one_effect *r = one_frame(&o, NET_REFUSE, 0);
        if (i == 0) {
            cr_assert_eq(r->refuse.err, MOTET_E_PERMISSION);
        } else {
            cr_assert(r == NULL);
        }
        conn++;
        o.now += 30000 * ONE_MS;
    }
    one_free(&o);
}

/* A seed address turns out to be a site that is in session already: the
 * connection there is stays, and the dialer is told whom it reached. */
Test(netmgr_hello, a_seed_that_is_known_already)
{
    struct one o;
    one_session(one_new(&o));
    struct net_hello h = one_hello();
    h.to_site = 0;
    one_meet(&o, 2, &h);
    const struct one_effect *r = one_frame(&o, NET_REFUSE, 0);
    cr_assert_eq(r->refuse.err, MOTET_E_EXISTS);
    cr_assert_neq(r->refuse.site, 0);
    cr_assert_eq(one_effect(&o, NET_CLOSE, 0)->e.conn, 2);
    cr_assert(one_effect(&o, NET_SESSION, 0) == NULL);
    one_free(&o);
}

/* A site that says good-bye meets nobody any more. */
Test(netmgr_hello, none_while_leaving)
{
    struct one o;
    one_new(&o);
    (void)!one_step(&o, (struct net_in){.kind = NET_IN_LEAVE});
    one_accept(&o, 1);
    cr_assert_eq(one_effect(&o, NET_CLOSE, 0)->e.conn, 1);
    one_free(&o);
}

/* A copy of a site that drew the same incarnation has another address: it is a
 * twin, not an old acquaintance, whatever address it dialed. */
Test(netmgr_hello, a_copy_at_a_seed_address_is_a_twin)
{
    struct one o;
    one_session(one_new(&o));
    struct net_hello h = one_hello();
    h.to_site = 0;
    memcpy(h.address, "copy:1", sizeof "copy:1");
    one_pong(&o, 1, o.now);
    o.now += 10 * ONE_MS;
    one_meet(&o, 2, &h);
    const struct one_effect *r = one_frame(&o, NET_REFUSE, 0);
    cr_assert_eq(r->refuse.err, MOTET_E_AGAIN, "the present one is asked");
    const struct one_effect *ping = one_frame(&o, NET_PING, 0);
    one_pong(&o, 1, ping->e.frame.u.ping);
    o.now += 1000 * ONE_MS;
    one_meet(&o, 3, &h);
    r = one_frame(&o, NET_REFUSE, 0);
    cr_assert_eq(r->refuse.err, MOTET_E_TWIN);
    one_free(&o);
}
