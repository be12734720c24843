/* Migration of a port between sites: a model, checked exhaustively by spin.
 *
 * A hand-off in two phases with the commit point at the source. Its steps are
 * numbered where they stand: 1 freeze, 2 PREPARE, 3 prepare or refuse, 4 abort,
 * 5 commit point, 6 activate, 7 finish, 8 in doubt.
 *
 * What is in it
 *
 *   One port, born at site 0. XMAX migrations are tried, by whoever is the
 *   owner, at any moment, to any other site. One client, which never crashes,
 *   sends M messages as one flow, several at once, to any site at any time.
 *   The network delivers any frame at any time (so every partition that heals
 *   is covered). Sites crash at any time and start again as a new incarnation
 *   that knows nothing. Timers fire at any moment.
 *   Without BOUNDED a frame that was once sent may be delivered any number of
 *   times, or never, and sites crash any number of times. So safety is checked
 *   with no bound on faults, only on migrations and messages.
 *   With BOUNDED a frame is delivered once, LOSS frames are lost, DUP come
 *   twice, there are CRASH crashes, and what got lost is sent again. This form
 *   is for progress.
 *   With FRUGAL sites remember only what a bounded table can hold:
 *     - the source no aborted xid: asked about a xid of its own that it does
 *       not have in hand, it answers ABORT
 *     - the destination, by source, the highest xid seen, and it refuses all up
 *       to that one; and of the activated only what the source may not have
 *       finished (a PREPARE says that all before it is finished)
 *
 * How it is written down
 *
 *   A xid stands for source, destination, and the incarnations of both, and
 *   every frame is bound to its xid. So a frame is (kind, xid), and the network
 *   is a set of xids for each kind. from[i] and to[i] are the xids whose source
 *   and destination is the present incarnation of site i. A crash empties both:
 *   what is in flight to the old incarnation reaches nobody, what is in flight
 *   from it still arrives.
 *   A FWD that was acknowledged is NONE: its stub only redirects, and this
 *   client asks everywhere anyway. A parked message stays in the network.
 *
 * What is checked (P.. are the promises of Motet)
 *
 *   P1      what was acknowledged was accepted; what was accepted is delivered
 *           or waits at the owner, unless the port is lost
 *   P2, P3  messages are delivered once and in order
 *   P5      at most one owner; the epochs of owners rise; an epoch once offered
 *           is never used elsewhere
 *   P6      the port, its queue and the state of its flows move whole or not at
 *           all; the port is lost only if its owner crashes, or the source or
 *           the destination of a migration on its way
 *   P13     BOUNDED: from some moment on no site is in FRZ, PRP or FWD
 *
 * Wrong variants, each of which must fail: they test the model
 *
 *   BUG_ONENAK     one negative answer for PREPARE and COMMIT
 *   BUG_TAKEOVER   the destination takes over when the source has rebooted
 *   BUG_RESUME     the source resumes when the destination has rebooted
 *   BUG_FORGET     the destination forgets what it activated
 *   BUG_LATEABORT  the source aborts after the commit point
 *   BUG_NODEDUP    the state of the flow does not move
 *   BUG_REUSE      after an abort the source is owner at the epoch it offered
 *   BUG_RENEW      a PREPARE that is no longer held is taken anew
 *   BUG_OVERWRITE  a PREPARE is taken by a FWD that is not acknowledged
 *   BUG_UNBOUND    frames reach later incarnations of the destination
 *   BUG_DROP       the source drops its copy at the commit point
 *   and, with BOUNDED:
 *   BUG_EAGER      QUERY is answered by COMMIT before the commit point
 *   BUG_ONECOMMIT  COMMIT is not sent again
 *   BUG_MUTE       a repeated COMMIT is not acknowledged
 *
 * `run`, beside this file, checks all of it. One look, by hand:
 *   spin -DXMAX=1 -a migration.pml && gcc -DSAFETY -o pan pan.c && ./pan */

#ifndef NS
#define NS 2 /* sites, 2 or 3 */
#endif
#ifndef XMAX
#define XMAX 2 /* migrations tried, at most 6 */
#endif
#ifndef M
#define M 1 /* messages, at most 6 */
#endif
#ifdef BOUNDED
#ifndef CRASH
#define CRASH 1
#endif
#ifndef LOSS
#define LOSS 1
#endif
#ifndef DUP
#define DUP 1
#endif
#endif

/* A set of small numbers (xids, messages) is the bits of a byte. */
#define B(n) (1 << (n))
#define HAS(set, n) ((set) & B(n))
#define ADD(set, n) set = (set) | B(n)
#define JOIN(set, other) set = (set) | (other)
#define CUT(set, other) set = (set) & ~(other)

/* Kinds of frame: to the destination of a xid, to its source, and messages. */
#define PREPARE 0
#define COMMIT 1
#define ABORT 2
#define PREPARED 3
#define REFUSE 4
#define COMMIT_ACK 5
#define NEVER 6
#define QUERY 7
#define ACCEPTED 8 /* to the client */
#define MSG(i) (9 + (i)) /* to site i */
#define KINDS (9 + NS)

#ifdef BUG_ONENAK
#define REFUSED NEVER
#else
#define REFUSED REFUSE
#endif

byte net[KINDS]; /* by kind: the xids or messages in flight */

/* A port at a site. */
mtype = { NONE, OWN, FRZ, PRP, FWD };
mtype st[NS] = NONE;
byte ep[NS];   /* OWN, FRZ, FWD: its epoch as owner; PRP: the epoch offered */
byte xid[NS];  /* FRZ, PRP, FWD: of which migration */
byte q[NS];    /* messages queued */
byte next[NS]; /* the number that the flow must bring next */

/* Migrations, by xid. The first three are what PREPARE carries. */
byte offer[XMAX + 1];
byte offer_q[XMAX + 1];
byte offer_next[XMAX + 1];
byte xids;       /* how many were given out */
byte from[NS];   /* those whose source is this incarnation of site i */
byte to[NS];     /* those whose destination is this incarnation of site i */
byte aborted;    /* by the source: aborted there */
byte seen;       /* by the destination: never to be prepared there (again) */
byte remembered; /* by the destination: activated there */

#define OF(i, x) (HAS(from[i], x) -> from[i] : 0)
#if NS > 2
#define ANY(f) (f(0) || f(1) || f(2))
#define ALL(f) (f(0) && f(1) && f(2))
#define COUNT(f) (f(0) + f(1) + f(2))
#define FROM_SOURCE_OF(x) (OF(0, x) | OF(1, x) | OF(2, x))
#define SRC_ALIVE(x) HAS(from[0] | from[1] | from[2], x)
#define DST_ALIVE(x) HAS(to[0] | to[1] | to[2], x)
#define MSGS_IN_FLIGHT (net[MSG(0)] | net[MSG(1)] | net[MSG(2)])
#else
#define ANY(f) (f(0) || f(1))
#define ALL(f) (f(0) && f(1))
#define COUNT(f) (f(0) + f(1))
#define FROM_SOURCE_OF(x) (OF(0, x) | OF(1, x))
#define SRC_ALIVE(x) HAS(from[0] | from[1], x)
#define DST_ALIVE(x) HAS(to[0] | to[1], x)
#define MSGS_IN_FLIGHT (net[MSG(0)] | net[MSG(1)])
#endif

/* Lower xids from the source of x to site i, both in this incarnation. */
#define EARLIER(i, x) (FROM_SOURCE_OF(x) & to[i] & (B(x) - 1))

/* What only the checks know. */
byte last;      /* epoch of the last owner */
byte accepted;  /* messages 1..accepted were accepted */
byte delivered; /* messages 1..delivered were delivered */
byte activated; /* xids that were ever activated */
bit lost;       /* the port died with a site */

#ifdef BOUNDED
byte losses, dups, crashes;
#endif

#define FRAMES                                                                 \
    (net[PREPARE] | net[COMMIT] | net[ABORT] | net[PREPARED] | net[REFUSE] |   \
     net[COMMIT_ACK] | net[NEVER] | net[QUERY])
#define ANY_IN_FLIGHT (FRAMES | net[ACCEPTED] | MSGS_IN_FLIGHT)

#define IS_OWNER(i) (st[i] == OWN || st[i] == FRZ)
#define OWNERS COUNT(IS_OWNER)
#define MESSAGES(a, b) (B((b) + 1) - B((a) + 1)) /* a+1 to b */
#define IS_WHOLE(i)                                                            \
    (q[i] == MESSAGES(delivered, accepted) && next[i] == accepted + 1)
#define HAS_COPY(i) (st[i] == FWD && !HAS(activated, xid[i]))
#define IS_SOUND(i) (!IS_OWNER(i) || IS_WHOLE(i))
#define IS_KEPT(i) ((IS_OWNER(i) || HAS_COPY(i)) && IS_WHOLE(i))
#define IS_SETTLED(i) (st[i] == NONE || st[i] == OWN)

inline clear(i)
{
    st[i] = NONE;
    ep[i] = 0;
    xid[i] = 0;
    q[i] = 0;
    next[i] = 0
}

inline own(i, epoch)
{
    st[i] = OWN;
    ep[i] = epoch;
    xid[i] = 0;
    lost = 0;
    assert(ep[i] > last);
    last = ep[i]
}

/* Owner again, at e+2: e+1 was offered. */
inline own_again(i)
{
#ifdef BUG_REUSE
    own(i, ep[i] + 1);
#else
    own(i, ep[i] + 2);
#endif
    assert(ep[i] > offer[xids])
}

/* What is sent to an incarnation that has ended reaches nobody. */
inline to_source(kind, x)
{
    if
    :: SRC_ALIVE(x) -> ADD(net[kind], x)
    :: else
    fi
}

inline to_destination(kind, x)
{
#ifdef BUG_UNBOUND
    ADD(net[kind], x)
#else
    if
    :: DST_ALIVE(x) -> ADD(net[kind], x)
    :: else
    fi
#endif
}

/* n = any member of a set that is not empty */
inline pick(n, set)
{
    n = 1;
    do
    :: HAS(set, n) -> break
    :: (set) >> (n + 1) -> n++
    od
}

/* n = any frame of a kind out of a set. It stays in flight, to come again. */
inline receive(kind, n, set)
{
    pick(n, net[kind] & (set));
#ifdef BOUNDED
    if /* once, or it counts as a duplicate */
    :: CUT(net[kind], B(n))
    :: dups < DUP -> dups++
    fi
#endif
}

inline abort(i, x)
{
#ifndef FRUGAL
    ADD(aborted, x);
#endif
    to_destination(ABORT, x);
    own_again(i)
}

/* Asked about a xid that site i does not have in hand. */
inline disown(x)
{
#ifdef FRUGAL
    to_destination(ABORT, x)
#else
    if
    :: HAS(aborted, x) -> to_destination(ABORT, x)
    :: else
    fi
#endif
}

/* Never to be prepared (again) at site i. */
inline see(i, x)
{
#ifdef FRUGAL
    JOIN(seen, B(x) | EARLIER(i, x))
#else
    ADD(seen, x)
#endif
}

inline forget_finished(i, x)
{
#ifdef FRUGAL
    CUT(remembered, EARLIER(i, x))
#else
    skip
#endif
}

/* What frames do. */
proctype Site(byte i)
{
    byte x;
end:
    do
    /* 3. Prepare or refuse. D may also refuse for reasons of its own. */
    :: atomic {
        net[PREPARE] & to[i] ->
        receive(PREPARE, x, to[i]);
        forget_finished(i, x);
        if
        :: st[i] == PRP && xid[i] == x -> to_source(PREPARED, x)
#if defined BUG_RENEW
        :: st[i] == NONE ->
#elif defined BUG_OVERWRITE
        :: (st[i] == NONE || st[i] == FWD) && !HAS(seen, x) ->
#else
        :: st[i] == NONE && !HAS(seen, x) ->
#endif
            see(i, x);
            st[i] = PRP;
            ep[i] = offer[x];
            xid[i] = x;
            q[i] = offer_q[x];
            next[i] = offer_next[x];
            to_source(PREPARED, x)
        :: !(st[i] == PRP && xid[i] == x) ->
            see(i, x);
            to_source(REFUSED, x)
        fi;
        x = 0
    }

    /* 4. Abort, on a refusal. It answers PREPARE and says nothing to a FWD. */
    :: atomic {
        net[REFUSE] & from[i] ->
        receive(REFUSE, x, from[i]);
        if
        :: st[i] == FRZ && xid[i] == x -> abort(i, x)
        :: else
        fi;
        x = 0
    }
    :: atomic {
        net[ABORT] & to[i] ->
        receive(ABORT, x, to[i]);
        if
        :: st[i] == PRP && xid[i] == x -> clear(i)
        :: else
        fi;
        x = 0
    }

    /* 5. Commit point: this one step. */
    :: atomic {
        net[PREPARED] & from[i] ->
        receive(PREPARED, x, from[i]);
        if
        :: st[i] == FRZ && xid[i] == x ->
            st[i] = FWD;
#ifdef BUG_DROP
            q[i] = 0;
#endif
            to_destination(COMMIT, x)
        :: st[i] == FWD && xid[i] == x ->
#ifdef BUG_ONECOMMIT
            skip
#else
            to_destination(COMMIT, x)
#endif
        :: !(st[i] == FRZ || st[i] == FWD) || xid[i] != x -> disown(x)
        fi;
        x = 0
    }

    /* 6. Activate. NEVER is a promise: the xid counts as seen from now on. */
    :: atomic {
        net[COMMIT] & to[i] ->
        receive(COMMIT, x, to[i]);
        if
        :: st[i] == PRP && xid[i] == x ->
            ADD(activated, x);
            ADD(remembered, x);
            own(i, ep[i]);
            to_source(COMMIT_ACK, x)
        :: !(st[i] == PRP && xid[i] == x) && HAS(remembered, x) ->
#if defined BUG_FORGET
            to_source(NEVER, x)
#elif defined BUG_MUTE
            skip
#else
            to_source(COMMIT_ACK, x)
#endif
        :: !(st[i] == PRP && xid[i] == x) && !HAS(remembered, x) ->
            see(i, x);
            to_source(NEVER, x)
        fi;
        x = 0
    }

    /* 7. Finish: drop the copy, or be the owner again with the copy. */
    :: atomic {
        net[COMMIT_ACK] & from[i] ->
        receive(COMMIT_ACK, x, from[i]);
        if
        :: st[i] == FWD && xid[i] == x -> clear(i)
        :: else
        fi;
        x = 0
    }
    :: atomic {
        net[NEVER] & from[i] ->
        receive(NEVER, x, from[i]);
        if
        :: st[i] == FWD && xid[i] == x -> own_again(i)
#ifdef BUG_ONENAK
        :: st[i] == FRZ && xid[i] == x -> abort(i, x)
#endif
        :: else
        fi;
        x = 0
    }

    /* 8. In doubt: the source answers, or says nothing while undecided. */
    :: atomic {
        net[QUERY] & from[i] ->
        receive(QUERY, x, from[i]);
        if
        :: st[i] == FWD && xid[i] == x -> to_destination(COMMIT, x)
        :: st[i] == FRZ && xid[i] == x ->
#ifdef BUG_EAGER
            to_destination(COMMIT, x)
#else
            skip
#endif
        :: !(st[i] == FRZ || st[i] == FWD) || xid[i] != x -> disown(x)
        fi;
        x = 0
    }

    /* A message is accepted by the owner only, and only the next of the flow.
     * At FRZ and PRP it is parked; elsewhere the answer is MOVED. */
    :: atomic {
        st[i] == OWN && net[MSG(i)] ->
        receive(MSG(i), x, net[MSG(i)]);
        if
        :: x == next[i] ->
            ADD(q[i], x);
            next[i]++;
            accepted = x;
            ADD(net[ACCEPTED], x)
        :: x < next[i] -> ADD(net[ACCEPTED], x) /* a duplicate */
        :: x > next[i]                          /* one before it is missing */
        fi;
        x = 0
    }
    :: atomic {
        (st[i] == NONE || st[i] == FWD) && net[MSG(i)] ->
        receive(MSG(i), x, net[MSG(i)]);
        x = 0
    }
    od
}

/* What the owner does. */
proctype Owner(byte i)
{
    byte x;
end:
    do
    :: atomic {
        st[i] == OWN && q[i] ->
        x = 1;
        do
        :: HAS(q[i], x) -> break
        :: else -> x++
        od;
        CUT(q[i], B(x));
        delivered++;
        assert(x == delivered);
        x = 0
    }

    /* 1. Freeze. 2. PREPARE. */
    :: atomic {
        st[i] == OWN && xids < XMAX ->
        xids++;
        x = xids;
        if
        :: i != 0 -> ADD(to[0], x)
        :: i != 1 -> ADD(to[1], x)
#if NS > 2
        :: i != 2 -> ADD(to[2], x)
#endif
        fi;
        ADD(from[i], x);
        st[i] = FRZ;
        xid[i] = x;
        assert(ep[i] + 1 > offer[x - 1]);
        offer[x] = ep[i] + 1;
        offer_q[x] = q[i];
        offer_next[x] = next[i];
#ifdef BUG_NODEDUP
        offer_next[x] = 1;
#endif
        to_destination(PREPARE, x);
        x = 0
    }
    od
}

/* What timers do. What is sent again is sent when nothing of the migration is
 * in flight any more. That is never so without BOUNDED, and nothing is missed:
 * what would be sent again, or in answer to QUERY, was sent before and may yet
 * come. */
proctype Clock(byte i)
{
end:
    do
    /* 2. PREPARE once more. */
    :: atomic {
        st[i] == FRZ && DST_ALIVE(xid[i]) && !HAS(FRAMES, xid[i]) ->
        ADD(net[PREPARE], xid[i])
    }

    /* 4. Abort: no answer, or the destination rebooted. */
    :: atomic { st[i] == FRZ -> abort(i, xid[i]) }

    /* 7. Finish. COMMIT until it is answered by COMMIT_ACK or NEVER. */
#ifndef BUG_ONECOMMIT
    :: atomic {
        st[i] == FWD && DST_ALIVE(xid[i]) && !HAS(FRAMES, xid[i]) ->
        ADD(net[COMMIT], xid[i])
    }
#endif
    /* The destination rebooted: the port was its own. Never resume. */
    :: atomic {
        st[i] == FWD && !DST_ALIVE(xid[i]) ->
#ifdef BUG_RESUME
        own_again(i)
#else
        if
        :: HAS_COPY(i) -> lost = 1
        :: else
        fi;
        clear(i)
#endif
    }
#ifdef BUG_LATEABORT
    :: atomic { st[i] == FWD -> abort(i, xid[i]) }
#endif

    /* 8. In doubt. */
    :: atomic {
        st[i] == PRP && SRC_ALIVE(xid[i]) && !HAS(FRAMES, xid[i]) ->
        ADD(net[QUERY], xid[i])
    }
    /* The source rebooted: discard, never take over. */
#ifdef BUG_TAKEOVER
    :: atomic { st[i] == PRP && !SRC_ALIVE(xid[i]) -> own(i, ep[i]) }
#endif
    /* Held long enough, or the source rebooted: discard. NEVER allows it. */
    :: atomic { st[i] == PRP -> clear(i) }
    od
}

proctype Client()
{
    byte known; /* messages 1..known have their outcome */
    byte x;
end:
    do
    :: atomic {
        !lost && (MESSAGES(known, M) & ~(MSGS_IN_FLIGHT)) ->
        pick(x, MESSAGES(known, M) & ~(MSGS_IN_FLIGHT));
        if
        :: ADD(net[MSG(0)], x)
        :: ADD(net[MSG(1)], x)
#if NS > 2
        :: ADD(net[MSG(2)], x)
#endif
        fi;
        x = 0
    }
    :: atomic {
        net[ACCEPTED] ->
        receive(ACCEPTED, x, net[ACCEPTED]);
        assert(x <= accepted);
        if
        :: x > known -> known = x
        :: else
        fi;
        x = 0
    }
    od
}

inline crash(i)
{
    if
    :: IS_OWNER(i) -> lost = 1
    :: HAS_COPY(i) -> lost = 1
    :: else
    fi;
    clear(i);
    CUT(aborted, from[i]);
    CUT(net[PREPARED], from[i]);
    CUT(net[REFUSE], from[i]);
    CUT(net[COMMIT_ACK], from[i]);
    CUT(net[NEVER], from[i]);
    CUT(net[QUERY], from[i]);
    from[i] = 0;
    net[MSG(i)] = 0;
    CUT(seen, to[i]);
    CUT(remembered, to[i]);
#ifdef BUG_UNBOUND
    CUT(activated, to[i])
#else
    CUT(net[PREPARE], to[i]);
    CUT(net[COMMIT], to[i]);
    CUT(net[ABORT], to[i]);
    to[i] = 0
#endif
}

proctype Faults()
{
    byte i, kind, x;
end:
    do
    :: atomic {
#ifdef BOUNDED
        crashes < CRASH ->
        crashes++;
#endif
        if
        :: i = 0
        :: i = 1
#if NS > 2
        :: i = 2
#endif
        fi;
        crash(i);
        i = 0
    }
#ifdef BOUNDED
    :: break /* there need not be more of them */
    :: atomic {
        losses < LOSS && ANY_IN_FLIGHT ->
        do
        :: net[kind] -> break
        :: kind < KINDS - 1 -> kind++
        :: kind == KINDS - 1 -> break
        od;
        if
        :: net[kind] ->
            pick(x, net[kind]);
            CUT(net[kind], B(x));
            losses++
        :: else
        fi;
        kind = 0;
        x = 0
    }
#endif
    od
}

/* Moves only to say that something is wrong, in whatever state that is. */
proctype Monitor()
{
end:
    do
    :: atomic { OWNERS > 1 -> assert(OWNERS <= 1) }
    :: atomic { lost && OWNERS > 0 -> assert(!lost) }
    :: atomic { !ALL(IS_SOUND) -> assert(ALL(IS_SOUND)) }
    :: atomic { !lost && !ANY(IS_KEPT) -> assert(ANY(IS_KEPT)) }
    /* Nothing else can move; the check of settles does not see this case. */
    :: atomic { timeout -> assert(ALL(IS_SETTLED)) }
    od
}

#ifdef BOUNDED
ltl settles { <> [] (ALL(IS_SETTLED)) }
#endif

init
{
    atomic {
        st[0] = OWN;
        ep[0] = 1;
        next[0] = 1;
        last = 1;
        byte i;
        for (i : 0 .. NS - 1) {
            run Site(i);
            run Owner(i);
            run Clock(i)
        }
        i = 0;
        run Client();
        run Faults();
        run Monitor()
    }
}
