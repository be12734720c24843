/* How a path changes its keys (netmgr/path/protect.c), one direction: a sender,
 * a receiver, and a network that loses, doubles, reorders and repeats.
 *
 * Checked in every state that can be reached:
 *   nonce     no counter is sealed twice, under whichever key
 *   valid     a packet that the sender still counts on (neither acknowledged nor
 *             given up) opens whenever it arrives
 *   once      no packet is taken twice
 *   ahead     the sender is at most one key ahead of the receiver
 *
 * The sender takes the next key when it likes, if the rule allows: a packet
 * under the present key was acknowledged, and none under an older one is
 * outstanding. The receiver holds three keys: the one before, the present one,
 * and the next, which it only tries.
 *
 * Wrong variants; each must break what stands behind it:
 *   BUG_CONFIRM  takes the next key without an acknowledgement       (ahead)
 *   BUG_WAIT     ... while packets under an older key are outstanding (valid)
 *   BUG_OLD      the receiver forgets the old key with the new one    (valid)
 *   BUG_AGAIN    what is lost is sealed again under its old counter   (nonce)
 *   BUG_REPLAY   the receiver does not remember what it took          (once) */

#ifndef PACKETS
#define PACKETS 6
#endif
#ifndef KEYS
#define KEYS 5
#endif
#define NO_KEY 255

mtype = { NONE, OUT, ACKED, GIVEN_UP };

mtype state[PACKETS]; /* of the packet with that counter, to the sender */
byte key_of[PACKETS]; /* that it was sealed under */
byte seals[PACKETS];  /* how often */
byte takes[PACKETS];  /* by the receiver */
bool acks[PACKETS];   /* an acknowledgement is on its way; or was lost: it need
                       * never arrive */
byte tx_key;
byte tx_first; /* counter under tx_key */
byte tx_next;
bool confirmed;
byte rx_key;
byte rx_old = NO_KEY;

inline seal(c)
{
    seals[c]++;
    assert(seals[c] == 1); /* nonce */
    state[c] = OUT;
    key_of[c] = tx_key
}

inline may_rekey(yes)
{
    yes = tx_key < KEYS - 1 && tx_next > tx_first;
#ifndef BUG_CONFIRM
    yes = yes && confirmed;
#endif
#ifndef BUG_WAIT
    for (c : 0 .. PACKETS - 1) {
        yes = yes && !(c < tx_first && state[c] == OUT)
    }
    c = 0
#endif
}

inline rekey()
{
    tx_key++;
    tx_first = tx_next;
    confirmed = false;
    assert(tx_key <= rx_key + 1) /* ahead */
}

/* A copy of packet c arrives; others may come at any time. */
inline arrive(c)
{
    if
    :: key_of[c] != rx_key && key_of[c] != rx_old && key_of[c] != rx_key + 1 ->
        assert(state[c] != OUT) /* valid */
    :: else ->
        if
#ifndef BUG_REPLAY
        :: takes[c] > 0 /* dropped by the replay window */
#endif
        :: else ->
            takes[c]++;
            assert(takes[c] == 1); /* once */
            acks[c] = true;
            if
            :: key_of[c] == rx_key + 1 ->
                rx_old = rx_key;
#ifdef BUG_OLD
                rx_old = NO_KEY;
#endif
                rx_key = key_of[c]
            :: else
            fi
        fi
    fi
}

inline heard(c)
{
    acks[c] = false;
    if
    :: state[c] == OUT ->
        state[c] = ACKED;
        confirmed = confirmed || c >= tx_first
    :: else /* it was given up: too late */
    fi
}

init
{
    byte c;
    bool yes;
    for (c : 0 .. PACKETS - 1) {
        state[c] = NONE
    }
    c = 0;
end:
    do
    :: atomic { tx_next < PACKETS -> seal(tx_next); tx_next++ }
    :: atomic { may_rekey(yes); if :: yes -> rekey() :: else fi; yes = false }
    :: atomic {
        select (c : 0 .. PACKETS - 1);
        if
        :: state[c] != NONE -> arrive(c)
        :: acks[c] -> heard(c)
        :: state[c] == OUT -> state[c] = GIVEN_UP;
#ifdef BUG_AGAIN
            if
            :: true
            :: seal(c)
            fi
#endif
        :: else
        fi;
        c = 0 }
    od
}
