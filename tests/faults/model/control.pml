/* Clients, PID 1 and the control helper: who starts it, what it asks for, how it leaves or dies.
 *
 * PID 1 holds the listening socket and starts a helper when somebody has connected. The helper takes
 * connections, sends orders to PID 1 and hears what has become of them; when it has nothing to do, it
 * leaves. It may die at any point, and PID 1 may execute itself anew at any point.
 *
 * What is shown: no client waits for ever, each has an answer or a closed connection; no order is
 * carried out twice; there are never two helpers; PID 1 never waits for a helper.
 *
 * Each BROKEN_… takes away one thing that the protocol rests on, and has to be found wrong.
 */

#define CLIENTS 2
#define CRASHES 1
#define ANEWS 1

mtype = { WAITING, ANSWERED, CLOSED };

mtype client[CLIENTS] = WAITING;
chan backlog = [CLIENTS] of { byte };   /* of the listening socket: it outlives helpers */
chan orders = [CLIENTS] of { byte };    /* the pipe from the helper */
chan news = [CLIENTS] of { byte };      /* the feed to it */
byte helpers;                           /* that live */
bool is_zombie, is_stopping;

/* What PID 1 hands over. */
bool has_helper;
chan facts = [CLIENTS] of { byte };

/* The observer's. */
byte done[CLIENTS], crashes, anews, finished;

proctype Client(byte it) {
    backlog!it;
    (client[it] != WAITING);
    finished++
}

proctype Helper() {
    byte it;
    bool taken[CLIENTS];
    byte busy;
    atomic { helpers++; assert(helpers == 1) };
    do
    :: crashes < CRASHES -> crashes++; break
    :: is_stopping -> break                 /* PID 1 has hung up */
    :: backlog?it -> taken[it] = true; busy++; orders!it
    :: news?it ->
        atomic {
            if
            :: taken[it] -> client[it] = ANSWERED; taken[it] = false; busy--
            :: else                         /* an answer to who was there before it */
            fi
        }
    :: busy == 0 && empty(backlog) -> break /* idle; somebody may connect right now */
    od;
    atomic {
        for (it : 0 .. CLIENTS - 1) {
            if
            :: taken[it] -> client[it] = CLOSED
            :: else
            fi
        };
        helpers--;
        is_zombie = true
    }
}

active proctype Pid1() {
    byte it;
    bool is_watching = true;
    atomic { run Client(0); run Client(1) };
    do
    :: finished == CLIENTS -> break
    :: anews < ANEWS ->                     /* anew: what is not handed over is made again */
        atomic {
            anews++;
#ifdef BROKEN_FACTS
            do
            :: nempty(facts) -> facts?it
            :: empty(facts) -> break
            od;
#endif
            is_watching = !has_helper
        }
    :: is_watching && nempty(backlog) ->
        atomic { is_watching = false; has_helper = true; run Helper() }
#ifdef BROKEN_TWO
    :: !is_watching && nempty(backlog) -> run Helper()
#endif
    :: nempty(orders) && nfull(facts) -> atomic { orders?it; facts!it }
    :: nempty(facts) ->
        atomic {
            facts?it;
            done[it]++;
            assert(done[it] == 1);
            if
            :: has_helper && nfull(news) -> news!it
            :: else                         /* gone: its clients have been told */
            fi
        }
    :: is_zombie ->
        atomic {
            is_zombie = false;
            has_helper = false;
            /* what it has sent is heard first, and its feed is closed */
            do
            :: nempty(orders) && nfull(facts) -> orders?it; facts!it
            :: empty(orders) || full(facts) -> break
            od;
            do
            :: nempty(news) -> news?it
            :: empty(news) -> break
            od;
#ifndef BROKEN_WATCH
            is_watching = true
#endif
        }
    od;
    is_stopping = true;
    (helpers == 0)
}
