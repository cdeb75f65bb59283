"""The table of programs that leave the foreground, and what keeps each of them there.

initpy, like every supervisor, knows that a program runs because its process does. A program that
forks and exits looks as if it had ended.
"""

from __future__ import annotations

from initpy.config.lint.commands import base_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.config.lint.commands import Command


class Config:
    """The configuration file of a daemon, as far as it has a say in this.

    A directive is written here as `name`, or `name value`, whatever the file has between the two;
    several are separated by commas.
    """

    __slots__ = ("files", "include", "inline", "leaves", "option", "stays")

    def __init__(
        self,
        option: str = "",
        files: str = "",
        leaves: str = "",
        stays: str = "",
        include: str = "",
        inline: str = "",
    ) -> None:
        self.option = option
        """The options that name the file; empty: the first word does."""
        self.files = files
        """Where it is by default; `{}` is the number in the program's name."""
        self.leaves = leaves
        self.stays = stays
        self.include = include
        """The directives that name more such files."""
        self.inline = inline
        """The option whose argument is configuration as well."""


class Daemon:
    """A program that leaves the foreground. Its words are separated by spaces.

    This and Config are no Values: all of them are made at each start.
    """

    __slots__ = (
        "config",
        "foreground",
        "leaves",
        "names",
        "once",
        "short",
        "starts_another",
        "stays",
        "unless",
    )

    def __init__(
        self,
        names: str,
        foreground: str,
        leaves: str = "",
        stays: str = "",
        once: str = "",
        short: str | None = "",
        config: Config | None = None,
        unless: str = "",
        *,
        starts_another: bool = False,
    ) -> None:
        self.names = names
        self.foreground = foreground
        """What keeps it in the foreground."""
        self.leaves = leaves
        """The words with which it leaves; empty: it does so by itself."""
        self.stays = stays
        """The words with which it stays."""
        self.once = once
        """The words with which it only does something and ends."""
        self.short = short
        """The letters of its options with an argument; None: `-abc` is one option, not three."""
        self.config = config
        self.unless = unless
        """When it stays after all."""
        self.starts_another = starts_another
        """It is no daemon itself, but starts one in the background and ends."""


DAEMONS = (
    Daemon("apachectl apache2ctl", "-D FOREGROUND", "start restart graceful startssl -kstart",
           "-DFOREGROUND -DNO_DETACH -DONE_PROCESS -DDEBUG -X", short=None),
    Daemon("atd", "-f", stays="-f -d", once="-V", short="lb"),
    Daemon("avahi-daemon", "no --daemonize", "-D --daemonize", once="-k -r -c -V -h", short="f"),
    Daemon("bird", "-f", stays="-f -d", once="-p -V -h --version --help", short="cDPsug"),
    Daemon("busybox:httpd", "-f", stays="-f -i", once="-d -e -m", short="prhucdem"),
    Daemon("caddy", "caddy run", "start"),
    Daemon("cassandra", "-f", stays="-f", once="-v -h", short=None),
    Daemon("catalina.sh", "catalina.sh run", "start"),
    Daemon("celery", "worker or beat, without --detach", "-D --detach multi",
           once="show stop stopwait kill names expand get help", short="AbCQnPclIsOSTt"),
    Daemon("chronyd", "-d", stays="-d -n", once="-q -Q -p -v -h --help --version", short="fFlLPtu"),
    Daemon("clamd", "--foreground", stays="-F --foreground", once="-V --version -h --help",
           short="c", config=Config("-c --config-file", "/etc/clamav/clamd.conf /etc/clamd.conf",
                                    stays="foreground true,foreground yes,foreground 1")),
    Daemon("collectd", "-f", stays="-f", once="-t -T -h", short="CPB"),
    Daemon("cron", "-f", stays="-f -x", short="Lx"),
    Daemon("crond", "-f (cronie: -n)", stays="-f -n -x", once="-V -h", short="lLdmx"),
    Daemon("cupsd", "-f", stays="-f -F", once="-t -h -T", short="cs"),
    Daemon("daemonize", "no daemonize, only what comes after it", short="acEepluov",
           starts_another=True),
    Daemon("dbus-daemon", "--nofork", "--system --fork", "--nofork", "--version --introspect"),
    Daemon("dhcpd", "-f", stays="-f -d", once="-t -T --version", short=None),
    Daemon("dnsmasq", "--keep-in-foreground", stays="-k --keep-in-foreground -d --no-daemon",
           once="--test -v --version -w --help", short="ugC7rxpPQaIiFGABSVsWYXlmMTctU4J8HLO26",
           config=Config("-C --conf-file", "/etc/dnsmasq.conf", include="conf-file",
                         stays="keep-in-foreground,no-daemon")),
    Daemon("dovecot", "-F", stays="-F", once="-a -n --version --help stop reload", short="ci"),
    Daemon("dropbear", "-F", stays="-F -i", once="-V", short="brGTcpPWKID"),
    Daemon("elasticsearch opensearch", "no --daemonize", "-d --daemonize", short="Ep"),
    Daemon("exim", "-bdf instead of -bd", "-bd", "-bdf", short=None),
    Daemon("fail2ban-client", "fail2ban-server -f", "start"),
    Daemon("fail2ban-server", "-f", stays="-f", once="-t -d -V -h --test --dp stop status ping",
           short="csp"),
    Daemon("forever", "no start, only what comes after it", "start startall"),
    Daemon("freeradius radiusd", "-f", stays="-f -X", once="-C -v -h", short="dDilnp"),
    Daemon("freshclam", "--foreground", "-d --daemon", "-F --foreground", short="lcu"),
    Daemon("gearmand", "no --daemon", "-d --daemon", short="bLlpPrtuhjv"),
    Daemon("gunicorn", "no --daemon", "-D --daemon", short="bcwkntugmpes",
           config=Config("-c --config", "gunicorn.conf.py", leaves="daemon true")),
    Daemon("haproxy", "-db", "-D", "-db -d -Ws", "-c -v -vv", short=None,
           config=Config("-f", leaves="daemon")),
    Daemon("hostapd wpa_supplicant", "no -B", "-B", short="bcCdeGgiIDmNoOpPu"),
    Daemon("httpd apache", "-D FOREGROUND",
           stays="-DFOREGROUND -DNO_DETACH -DONE_PROCESS -DDEBUG -X",
           once="-t -v -V -l -L -S -M -h -? -kstop -kgraceful-stop", short=None),
    Daemon("icecast", "no -b", "-b", short="c"),
    Daemon("keepalived", "--dont-fork", stays="-n --dont-fork", once="-t --config-test -v -h",
           short="fprcTgsSiu"),
    Daemon("lighttpd", "-D", stays="-D", once="-t -tt -v -V -p -h -1", short="fmi"),
    Daemon("lsyncd", "-nodaemon", stays="-nodaemon --nodaemon", once="-version -help", short=None),
    Daemon("memcached", "no --daemon", "-d --daemon", once="-V -h --version --help",
           short="pUsalumcPfntDRbBIoeY"),
    Daemon("mongod mongos", "no --fork", "--fork", once="--shutdown --version --help", short="f",
           config=Config("-f --config", leaves="fork true,fork yes", stays="fork false")),
    Daemon("monit", "-I", stays="-I",
           once="-t -V -h -H status summary report reload quit validate start stop restart monitor "
           "unmonitor procmatch", short="cdglpsH"),
    Daemon("mosquitto", "no --daemon", "-d --daemon", once="-h --help", short="cp"),
    Daemon("mysqld mariadbd", "no --daemonize", "-D --daemonize", short=None),
    Daemon("mysqld_multi", "mysqld itself", "start", starts_another=True),
    Daemon("named", "-f", stays="-f -g", once="-v -V -h", short="cdEiLMmnNpsStTuxX"),
    Daemon("nginx nginx-debug openresty angie tengine", "-g 'daemon off;'",
           once="-t -T -v -V -h -? -s", short="cegps",
           config=Config("-c", "/etc/nginx/nginx.conf /usr/local/nginx/conf/nginx.conf "
                         "/usr/local/openresty/nginx/conf/nginx.conf", leaves="daemon on",
                         stays="daemon off", include="include", inline="-g")),
    Daemon("ngircd", "-n", stays="-n --nodaemon", once="-t -V -h --configtest --version --help",
           short="f"),
    Daemon("nmbd smbd winbindd", "-F --no-process-group", stays="-F --foreground -i --interactive",
           once="-b -V --build-options --version --help", short="dlspO"),
    Daemon("ntpd", "-n", stays="-n --nofork -d", once="-q --quit -V --version -h -? --help",
           short="cfiklpPsStuUDIwx"),
    Daemon("openvpn", "no --daemon", "--daemon", once="--version --help --genkey",
           config=Config("--config", leaves="daemon")),
    Daemon("pg_ctl", "postgres itself", "start restart", starts_another=True, short="DloptUPmNSe"),
    Daemon("pg_ctlcluster", "--foreground", "start restart", "--foreground", short="mo"),
    Daemon("php-fpm", "-F", "", "-F --nodaemonize",
           "-t -tt -v -i -m -h -? --test --version --info --modules --help", "cdgpyz",
           Config("-y --fpm-config", "/usr/local/etc/php-fpm.conf /etc/php-fpm.conf "
                  "/etc/php/{}/fpm/php-fpm.conf /etc/php{}/php-fpm.conf", leaves="daemonize yes",
                  stays="daemonize no,daemonize off,daemonize false,daemonize 0",
                  include="include")),
    Daemon("pm2", "pm2-runtime instead of pm2", "start restart reload resurrect", "--no-daemon"),
    Daemon("postfix", "start-fg instead of start", "start"),
    Daemon("privoxy", "--no-daemon", stays="--no-daemon --config-test",
           once="--version --help", short=None),
    Daemon("proftpd", "-n", stays="-n --nodaemon",
           once="-t --configtest -td5 -v -vv -V -l -h --version --list --help", short="cdDpSNP"),
    Daemon("puma", "no --daemon", "-d --daemon", short="bCeIptwS"),
    Daemon("pure-ftpd", "no --daemonize", "-B --daemonize", short="aCcDfgIkLlmnoPpQqTtuUVY"),
    Daemon("rabbitmq-server", "no -detached", "-detached", short=None),
    Daemon("redis-server redis-sentinel valkey-server valkey-sentinel keydb-server",
           "--daemonize no", "--daemonize=yes", "--daemonize=no", "-v --version -h --help",
           config=Config(leaves="daemonize yes", stays="daemonize no")),
    Daemon("rpcbind", "-f", stays="-f -d", short="h"),
    Daemon("rsync", "--no-detach", "--daemon", "--no-detach", short=None),
    Daemon("rsyslogd", "-n", stays="-n", once="-N -v", short="fiuMNoT"),
    Daemon("salt-master salt-minion", "no --daemon", "-d --daemon", short="culp"),
    Daemon("screen", "no screen, only what comes after it", "-d", once="-r -x -ls -list -X",
           short="cehpsStTX"),
    Daemon("service rc-service invoke-rc.d initctl", "the program itself, not what starts it",
           "start restart", starts_another=True),
    Daemon("slapd", "-d 0", stays="-d", once="-V -VV -T", short="dfFhlnostugrT"),
    Daemon("snmpd", "-f", stays="-f", once="-v -h -H", short="cDgIlLmMnpPuxX"),
    Daemon("solr", "solr start -f", "start restart", "-f --foreground"),
    Daemon("spawn-fcgi", "-n", stays="-n", once="-v -?", short="afpsPcuUgGFCMdb"),
    Daemon("squid", "-N", stays="-N --foreground", once="-k -z -v -h --help --version",
           short="adfklnu"),
    Daemon("sshd", "-D", stays="-D -d -i", once="-t -T -G -V", short="bCcEfghkopu",
           unless="unless initpy is PID 1"),
    Daemon("start-stop-daemon", "no --background", "-b --background", once="-K --stop -T --status",
           short="xapucgnrdNkROIP"),
    Daemon("stunnel", "foreground = yes in its configuration",
           once="-version -help -sockets -options -fd", short=None,
           config=Config("", "/etc/stunnel/stunnel.conf",
                         stays="foreground yes,foreground quiet")),
    Daemon("supervisord", "--nodaemon", stays="-n --nodaemon", once="-v --version -h --help",
           short="cudmlyzejiqka",
           config=Config("-c --configuration", "supervisord.conf etc/supervisord.conf "
                         "/etc/supervisord.conf /etc/supervisor/supervisord.conf",
                         stays="nodaemon true,nodaemon yes,nodaemon on,nodaemon 1")),
    Daemon("syslog-ng", "-F", stays="-F --foreground", once="-s --syntax-only -V --version -h",
           short="fpcRgGuUC"),
    Daemon("syslogd", "-n", stays="-n -F -d", once="-v -V -h --help --version",
           short="OlsbRPLDfKmpaCt"),
    Daemon("systemctl", "the program itself, not what starts it", "start restart",
           starts_another=True),
    Daemon("telnetd", "-F", stays="-F -i", short="lfpb"),
    Daemon("thin", "no --daemonize", "-d --daemonize", short="apSRACecls"),
    Daemon("tinyproxy", "-d", stays="-d", once="-v -h", short="c"),
    Daemon("tmux", "no tmux, only what comes after it", "-d", once="ls list-sessions attach",
           short="cfLSTnstxy"),
    Daemon("transmission-daemon", "-f", stays="-f --foreground", once="-d --dump-settings -V -h",
           short="acegiLlMmoOPpTtuvwxy"),
    Daemon("twistd", "--nodaemon", stays="-n --nodaemon", once="--version --help --help-reactors",
           short="efglopsuy"),
    Daemon("udevd systemd-udevd", "no --daemon", "-d --daemon", short="ceNt"),
    Daemon("udhcpd", "-f", stays="-f", short="IPS"),
    Daemon("unbound", "-d", stays="-d", once="-V -h", short="cw",
           config=Config("-c", "/etc/unbound/unbound.conf", leaves="do-daemonize yes",
                         stays="do-daemonize no", include="include,include-toplevel")),
    Daemon("unicorn unicorn_rails rainbows", "no --daemonize", "-D --daemonize",
           short="ceEIloprs"),
    Daemon("uwsgi", "no daemonize", "-d --daemonize --daemonize2", once="--version --help -h",
           short="sHpwtlzRbdCOfrugJyjZAcnXKqF",
           config=Config("--ini -i", leaves="daemonize,daemonize2", include="ini")),
    Daemon("varnishd", "-F", stays="-F -d", once="-C -V -x -?", short="abfhIijlMnpPrsStTUx"),
    Daemon("vsftpd", "background=NO in its configuration", "-obackground=YES", "-obackground=NO",
           once="-v", short="o",
           config=Config("", "/etc/vsftpd.conf /etc/vsftpd/vsftpd.conf", leaves="background yes",
                         stays="background no")),
    Daemon("websockify", "no --daemon", "-D --daemon", short=None),
    Daemon("x11vnc", "no -bg", "-bg", short=None),
    Daemon("xinetd", "-dontfork", stays="-dontfork -d", once="-version", short=None),
    Daemon("zkServer.sh", "zkServer.sh start-foreground", "start restart"),
    Daemon("kafka-server-start.sh zookeeper-server-start.sh", "no -daemon", "-daemon", short=None),
)  # fmt: skip

_BY_NAME = {name: daemon for daemon in DAEMONS for name in daemon.names.split()}

_INIT_SCRIPTS = ("/etc/init.d/", "/etc/rc.d/init.d/")

_COMMON_WORDS = ("bird", "cron", "forever", "screen", "service", "thin")
"""Names that somebody's own program may well have, too."""

_SYSTEM = ("/bin/", "/sbin/", "/usr/")


def daemon_of(command: Command) -> tuple[Daemon, tuple[str, ...]] | None:
    """The row of a command that may leave the foreground, and its words after the name."""
    words = command.words
    name = base_name(words[0])
    if words[0].startswith(_INIT_SCRIPTS):
        return _BY_NAME["service"], words[1:]
    if name in _COMMON_WORDS and "/" in words[0] and not words[0].startswith(_SYSTEM):
        return None
    arguments = words[1:]
    if name == "httpd" and (command.is_busybox or _is_busybox(arguments)):
        return _BY_NAME["busybox:httpd"], arguments
    daemon = _BY_NAME.get(name) or _BY_NAME.get(name.rstrip("0123456789.-_"))
    if daemon is None and name.startswith("php") and "fpm" in name:
        daemon = _BY_NAME["php-fpm"]
    if daemon is None and name.startswith("uwsgi_"):
        daemon = _BY_NAME["uwsgi"]
    return None if daemon is None else (daemon, arguments)


def foreground_of(command: Command) -> str:
    """What keeps a command in the foreground; empty: it is not known to leave it."""
    found = daemon_of(command)
    return found[0].foreground if found else ""


def _is_busybox(arguments: tuple[str, ...]) -> bool:
    """It is busybox's httpd, not Apache's, which has no -p and takes nothing after -h."""
    return len(arguments) > 1 and any(word[:2] in ("-p", "-h") for word in arguments)
