/* The stop of a container with captured output, while PID 1 executes itself anew and the relay of
 * the logs dies: who forks, ends, reaps and writes when.
 *
 * What is shown, for every order in which it may happen: nobody waits for ever; PID 1 exits when no
 * child is left, and has reaped each; what a program has written reaches its sink, once.
 *
 * What is left out: how long anything takes (a timer may fire at any time once it is armed), the
 * restart of programs, several pipes (they are alike), and the end of the time for the drain.
 *
 * Each BROKEN_… takes away one thing that the protocol rests on, and has to be found wrong.
 */

#ifndef PROGRAMS
#define PROGRAMS 2
#endif
#define LINES 1        /* that each program writes before its last one */
#define CRASHES 1      /* of relays */
#define ANEWS 1        /* how often PID 1 executes itself anew */

mtype = { UNBORN, ALIVE, ZOMBIE, REAPED };
mtype = { NOTHING, LEAVE, DRAIN };

/* The kernel's. */
mtype program[PROGRAMS] = UNBORN;
mtype relay = UNBORN;
bool term[PROGRAMS], killed[PROGRAMS], relay_killed;
bool sigchld;                       /* blocked or not: it waits for who takes it */
chan tube = [2] of { byte };        /* the pipe between the programs and the relay */
byte held;                          /* in the memory file: read, and not written */
mtype command;                      /* to the relay */
bool drained;                       /* the relay's exit code */

/* What PID 1 hands over: its KEPT. */
bool keys[PROGRAMS];                /* live processes, noted with the fork */
bool known[PROGRAMS];               /* the core has been told of the pid */
bool taken;                         /* a SIGCHLD that has been taken from the kernel */
bool is_away, is_draining, has_shot, has_killed, has_finished;
byte relays;                        /* that PID 1 knows of */

/* The observer's. */
byte written, delivered, crashes, anews, forks, burials;
bool is_over;

proctype Program(byte it) {
    byte lines;
    do
    :: killed[it] -> break
    :: !killed[it] && !term[it] && lines < LINES && nfull(tube) ->
        atomic { tube!1; written++; lines++ }
    :: !killed[it] && term[it] && nfull(tube) ->      /* its last words */
        atomic { tube!1; written++ };
        break
    od;
    atomic { program[it] = ZOMBIE; sigchld = true }
}

proctype Relay() {
    byte line;
#ifdef BROKEN_HELD
#define HELD mine
    byte mine;
#else
#define HELD held
#endif
    do
    :: relay_killed -> break
    :: !relay_killed && crashes < CRASHES -> crashes++; break
    :: !relay_killed && HELD == 0 && nempty(tube) -> atomic { tube?line; HELD = 1 }
    :: !relay_killed && HELD > 0 -> atomic { delivered++; HELD = 0 }
    :: !relay_killed && command == LEAVE -> break
    :: !relay_killed && command == DRAIN && HELD == 0 && empty(tube) -> drained = true; break
    od;
#ifdef BROKEN_READ_END
    do                  /* nobody else has the pipe open: what is in it is gone */
    :: nempty(tube) -> tube?line
    :: empty(tube) -> break
    od;
#endif
    line = 0;
    atomic { relay = ZOMBIE; sigchld = true }
}

inline start_relay() {
    atomic {
        relay = ALIVE; relay_killed = false; drained = false; relays++; forks++;
        command = (is_draining -> DRAIN : NOTHING);
    }
    run Relay()
}

/* A fault at any point: the next image goes on with what is handed over. */
inline perhaps_anew() {
    if
    :: anews < ANEWS ->
        anews++;
#ifdef BROKEN_TAKEN
        taken = false;
#endif
#ifndef BROKEN_HEAL
        atomic {        /* what_is_missing: it lives, and the core has not been told */
            for (i : 0 .. PROGRAMS - 1) { known[i] = known[i] || keys[i] }
        }
        if
        :: relays == 0 && !is_away && !has_finished -> start_relay()
        :: else
        fi
#endif
    :: true
    fi
}

inline reap() {
    atomic {
        for (i : 0 .. PROGRAMS - 1) {
            if
            :: program[i] == ZOMBIE -> program[i] = REAPED; keys[i] = false; burials++
            :: else
            fi
        }
    }
    if
    :: relay == ZOMBIE ->
        atomic { relay = REAPED; relays--; burials++ };
        if
        :: is_draining && drained -> has_finished = true
        :: is_away && !is_draining
        :: else -> start_relay()
        fi
    :: else
    fi
}

#define NOBODY_LIVES (program[0] != ALIVE && program[0] != ZOMBIE && LAST_IS_GONE)
#if PROGRAMS > 1
#define LAST_IS_GONE (program[1] != ALIVE && program[1] != ZOMBIE)
#define IS_UP (keys[0] || keys[1])
#else
#define LAST_IS_GONE true
#define IS_UP keys[0]
#endif
#define NO_CHILD (NOBODY_LIVES && relay != ALIVE && relay != ZOMBIE)

inline kill_programs() {
    atomic {
        has_shot = true;
        for (i : 0 .. PROGRAMS - 1) {
            if
            :: keys[i] && known[i] -> killed[i] = true
            :: else
            fi
        }
    }
}

inline kill_everyone() {
    atomic {
        for (i : 0 .. PROGRAMS - 1) { killed[i] = true };
        relay_killed = true;
        has_killed = true
    }
}

/* Take what has happened, one thing; or the timer fires, if one is armed. */
inline turn(timer) {
    perhaps_anew();
    if
    :: sigchld -> atomic { sigchld = false; taken = true }
    :: taken -> reap(); taken = false
    :: timer && !is_away -> kill_programs()
    :: timer && is_away -> kill_everyone()
    fi
}

active proctype Pid1() {
    byte i, each;
    atomic { start_relay() };
    each = 0;
    do
    :: each < PROGRAMS ->
        atomic { program[each] = ALIVE; keys[each] = true; forks++; run Program(each) };
        perhaps_anew();
        if
#ifdef BROKEN_HEAL
        :: anews > 0        /* the fact was lost with the image */
        :: anews == 0 -> known[each] = true
#else
        :: true -> known[each] = true
#endif
        fi;
        each++
    :: each == PROGRAMS -> break
    od;

    /* STOPPING */
    atomic {
        for (i : 0 .. PROGRAMS - 1) {
            if
            :: known[i] -> term[i] = true
            :: else
            fi
        }
    }
    do
    :: IS_UP -> turn(!has_shot)
    :: !IS_UP -> break
    od;

    /* REST: `stay_away`, KillRest(TERM), and later KILL */
    atomic { is_away = true; if :: relay == ALIVE -> command = LEAVE :: else fi }
    do
    :: !NO_CHILD -> turn(!has_killed)
    :: NO_CHILD -> break
    od;

    /* Exit: `drain` */
#ifndef BROKEN_DRAIN
    atomic { is_draining = true; is_away = false };
    if
    :: relays == 0 -> start_relay()
    :: else
    fi;
    do
    :: !has_finished -> turn(false)
    :: has_finished -> break
    od;
#endif
    is_over = true;
    assert(NO_CHILD);
    assert(forks == burials);
    assert(delivered == written)
}
