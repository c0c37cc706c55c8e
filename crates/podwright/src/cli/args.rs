//! The command line: what can be asked. Man pages and completions are made from these very definitions.

mod change;
mod get;

pub use change::{LabelArgs, PatchArgs, ReplaceArgs, SetCommand};
pub use get::{Format, GetArgs};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use pod_manifest::Compat;
use std::path::PathBuf;

/// Runs Kubernetes Pods on one Linux node: init containers in order, then the app containers.
#[derive(Debug, Parser)]
#[command(
    name = "podwright",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "The node daemon starts by itself when a command needs it, and ends when nothing is left to do.\n\
                  Try: podwright plan POD.yaml, then podwright run POD.yaml"
)]
pub struct Cli {
    /// Where this node lives.
    #[command(flatten)]
    pub places: PlaceArgs,

    /// Colours: when standard output (or error) is a terminal, always, or never. NO_COLOR counts as never.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub color: ColorWhen,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Folders and cgroup of a node: several nodes can run side by side.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    /// State that survives a reboot: images, pods, volumes.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PODWRIGHT_ROOT",
        default_value = "/var/lib/podwright",
        help_heading = "Global options"
    )]
    pub root: PathBuf,
    /// State that does not: sockets, sandboxes.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PODWRIGHT_RUN",
        default_value = "/run/podwright",
        help_heading = "Global options"
    )]
    pub run: PathBuf,
    /// The cgroup that everything lives below.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "PODWRIGHT_CGROUP_ROOT",
        default_value = "/podwright",
        help_heading = "Global options"
    )]
    pub cgroup_root: String,
    /// Container logs [default: /var/log/pods, or logs/ below --root where that is given].
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PODWRIGHT_LOGS",
        help_heading = "Global options"
    )]
    pub logs: Option<PathBuf>,
    /// Its pods' network.
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// The network of a node's pods. Read when its daemon starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct NetworkArgs {
    /// Which network pods get: bridge, none (loopback only), or auto: the bridge where this node permits it.
    #[arg(
        long,
        global = true,
        value_name = "MODE",
        env = "PODWRIGHT_NETWORK",
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub network: NetworkChoice,
    /// Name of the bridge [default: podwright0; another one where --run is given].
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "PODWRIGHT_BRIDGE",
        help_heading = "Global options"
    )]
    pub bridge: Option<String>,
    /// Addresses of pods [default: the first of 10.88.0.0/24, 10.88.1.0/24, … that this node does not route].
    #[arg(
        long,
        global = true,
        value_name = "CIDR",
        env = "PODWRIGHT_SUBNET",
        help_heading = "Global options"
    )]
    pub subnet: Option<String>,
    /// Virtual addresses of Services [default: likewise, of 10.89.0.0/24, …].
    #[arg(
        long,
        global = true,
        value_name = "CIDR",
        env = "PODWRIGHT_SERVICE_SUBNET",
        help_heading = "Global options"
    )]
    pub service_subnet: Option<String>,
}

/// Which network pods get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum NetworkChoice {
    #[default]
    Auto,
    Bridge,
    None,
}

impl NetworkChoice {
    /// As the command line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            NetworkChoice::Auto => "auto",
            NetworkChoice::Bridge => "bridge",
            NetworkChoice::None => "none",
        }
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a pod and follow it: progress, output, exit status.
    Run(RunArgs),
    /// Create pods, Services, ConfigMaps and Secrets from files, and return at once.
    Create(CreateArgs),
    /// Change pods while they run, as far as Kubernetes allows it: images, cpu and memory, labels, annotations, ephemeral containers.
    Replace(ReplaceArgs),
    /// Change fields of pods, Services, ConfigMaps and Secrets: what a replace may change, without writing the rest.
    Patch(PatchArgs),
    /// Change labels: KEY=VALUE sets one, KEY- removes it.
    Label(LabelArgs),
    /// Change annotations: KEY=VALUE sets one, KEY- removes it.
    Annotate(LabelArgs),
    /// Change single fields.
    Set {
        /// Which field.
        #[command(subcommand)]
        command: SetCommand,
    },
    /// Show what exists: pods, services, configmaps, secrets, events, all.
    Get(GetArgs),
    /// Tell everything about pods, with their events, and about Services, ConfigMaps and Secrets.
    Describe(DescribeArgs),
    /// Say why a pod is where it is: which container holds it up, how that ended last, when it is tried again.
    Explain(ExplainArgs),
    /// Show when each attempt of each container ran, and when nothing did.
    Timeline(TimelineArgs),
    /// Show what a pod and its containers use: processor time, memory, processes, and how long they waited.
    Stats(StatsArgs),
    /// Show what a container wrote, in this attempt or an earlier one.
    Logs(LogsArgs),
    /// Run a program in a running container.
    Exec(ExecArgs),
    /// Open a shell where a container failed: in its files, volumes, environment and user, and the pod's namespaces.
    Debug(DebugArgs),
    /// Give a failed pod a second chance: it goes on at what failed, and what succeeded is not run again.
    Retry(RetryArgs),
    /// End and remove pods; remove Services, ConfigMaps and Secrets.
    Delete(DeleteArgs),
    /// Wait until pods have a condition, or are gone.
    Wait(WaitArgs),
    /// Show what has happened, the newest last.
    Events(EventsArgs),
    /// Show what a manifest would do, without doing it: needs neither root nor a daemon.
    Plan(PlanArgs),
    /// Import, list and remove images.
    Image {
        /// What to do with images.
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Say what this machine lacks, for which feature, and what to do about it.
    Doctor(DoctorArgs),
    /// Show the versions of this program and of the running daemon.
    Version(VersionArgs),
    /// End all pods and remove everything that this node made.
    Reset(ResetArgs),
    /// Print a completion script for a shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Run the node daemon. It starts by itself when needed; services start it so.
    Node(NodeArgs),
    /// Write the man pages into a folder.
    #[command(hide = true)]
    Man {
        /// The folder; made if missing.
        folder: PathBuf,
    },
}

/// Which namespace.
#[derive(Clone, Debug, Args)]
pub struct NamespaceArg {
    /// The namespace [default: default].
    #[arg(short = 'n', long, value_name = "NS")]
    pub namespace: Option<String>,
}

/// Which Kubernetes manifests are read for, and objects are printed for.
#[derive(Clone, Copy, Debug, Args)]
pub struct CompatArg {
    /// Take init containers from annotations, and print them so, as Kubernetes 1.5, 1.6 or 1.7 did.
    #[arg(
        id = "api-compat",
        long = "api-compat",
        value_name = "VERSION",
        default_value_t,
        hide_default_value = true
    )]
    pub version: Compat,
}

impl NamespaceArg {
    /// The namespace of names without one.
    pub fn or_default(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }
}

/// Files that manifests or names are read from.
#[derive(Clone, Debug, Default, Args)]
pub struct FileArg {
    /// Take the names from this manifest: a file, a folder, or - for standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// How objects are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Wide,
    Json,
    Yaml,
    Name,
}

/// JSON or YAML instead of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataOutput {
    Json,
    Yaml,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The manifest: a file, a folder, or - for standard input.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The Kubernetes that the manifest was written for.
    #[command(flatten)]
    pub compat: CompatArg,
    /// Return as soon as the pod is created.
    #[arg(short = 'd', long)]
    pub detach: bool,
    /// Keep the pod, its status and its logs after it has ended.
    #[arg(long)]
    pub keep: bool,
    /// Keep a pod that fails, with its namespaces and its containers' files, to look into them: podwright debug POD.
    #[arg(long)]
    pub keep_failed: bool,
    /// Delete a pod of the same name first; replace ConfigMaps and Secrets.
    #[arg(long)]
    pub replace: bool,
    /// Write how it ended to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub status_file: Option<PathBuf>,
    /// Run although the manifest asks for things that this version does not honour.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// Show no progress, only what the containers write.
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Where the manifest names none.
    #[command(flatten)]
    pub namespace: NamespaceArg,
}

/// `create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The manifest: a file, a folder, or - for standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The Kubernetes that the manifest was written for.
    #[command(flatten)]
    pub compat: CompatArg,
    /// Delete pods of the same names first; replace ConfigMaps and Secrets.
    #[arg(long)]
    pub replace: bool,
    /// Create although the manifest asks for things that this version does not honour.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// Print what was created so.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<Output>,
    /// Where the manifest names none.
    #[command(flatten)]
    pub namespace: NamespaceArg,
}

/// `describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// What, and which: pod NAME…, pod/NAME, service NAME, configmap NAME, secret NAME.
    #[arg(value_name = "TYPE [NAME]")]
    pub what: Vec<String>,
    /// Files with the names.
    #[command(flatten)]
    pub files: FileArg,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Only objects with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Show the events, too.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub show_events: bool,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The pod: NAME or pod/NAME.
    #[arg(value_name = "POD")]
    pub pod: String,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// How many of the last lines of its log to show.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub lines: u64,
    /// How to print.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<DataOutput>,
}

/// `stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// The pod: NAME or pod/NAME.
    #[arg(value_name = "POD")]
    pub pod: String,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// How to print.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<DataOutput>,
}

/// How a timeline is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimelineOutput {
    Svg,
    Json,
    Yaml,
}

/// `timeline`.
#[derive(Debug, Args)]
pub struct TimelineArgs {
    /// The pod: NAME or pod/NAME.
    #[arg(value_name = "POD")]
    pub pod: String,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// How to print, instead of a chart for the terminal.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<TimelineOutput>,
}

/// `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The pod: NAME or pod/NAME; a container may follow.
    #[arg(value_name = "POD [CONTAINER]", num_args = 0..=2)]
    pub pod: Vec<String>,
    /// Take the pod's name from this manifest.
    #[arg(long = "filename", value_name = "FILE", conflicts_with = "pod")]
    pub files: Vec<PathBuf>,
    /// Of every pod with these labels; the last 10 lines of each, where --tail says nothing else.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with_all = ["pod", "files"])]
    pub selector: Option<String>,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// The container, init containers included.
    #[arg(short = 'c', long, value_name = "NAME")]
    pub container: Option<String>,
    /// Of every container: init containers first, in order.
    #[arg(long, conflicts_with = "container")]
    pub all_containers: bool,
    /// Go on while the container runs.
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Only the last N lines.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub tail: Option<i64>,
    /// Only what is newer than this: 10s, 5m, 1h30m.
    #[arg(long, value_name = "DURATION", conflicts_with = "since_time")]
    pub since: Option<String>,
    /// Only what is newer than this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub since_time: Option<String>,
    /// The time before each line.
    #[arg(long)]
    pub timestamps: bool,
    /// Of the attempt before the newest one.
    #[arg(short = 'p', long)]
    pub previous: bool,
    /// Of the N-th attempt, from 0.
    #[arg(long, value_name = "N", conflicts_with = "previous")]
    pub attempt: Option<u32>,
    /// Of every attempt that is kept, the oldest first.
    #[arg(long, conflicts_with_all = ["previous", "attempt"])]
    pub all_attempts: bool,
    /// Pod and container before each line.
    #[arg(long)]
    pub prefix: bool,
    /// End after so many bytes.
    #[arg(long, value_name = "N")]
    pub limit_bytes: Option<u64>,
}

/// `exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The pod: NAME or pod/NAME.
    #[arg(value_name = "POD")]
    pub pod: String,
    /// The container, running init containers included.
    #[arg(short = 'c', long, value_name = "NAME")]
    pub container: Option<String>,
    /// Pass standard input on.
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Give the program a terminal.
    #[arg(short = 't', long)]
    pub tty: bool,
    /// Do not say which container was chosen.
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// Program and arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `debug`.
#[derive(Debug, Args)]
pub struct DebugArgs {
    /// The pod: NAME or pod/NAME.
    #[arg(value_name = "POD")]
    pub pod: String,
    /// The container, init containers above all [default: the one that failed].
    #[arg(long, alias = "container", value_name = "NAME")]
    pub target: Option<String>,
    /// With the files of this image, where the container's own have no tools.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Pass standard input on [default: when no command is given].
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Give the program a terminal [default: when no command is given and this is one].
    #[arg(short = 't', long)]
    pub tty: bool,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// Program and arguments [default: sh].
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `retry`.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// The pod: NAME or pod/NAME.
    #[arg(value_name = "POD")]
    pub pod: String,
    /// Begin again at this init container, whatever has failed; those before it must have succeeded.
    #[arg(long, value_name = "INIT")]
    pub from: Option<String>,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// How to print.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<DataOutput>,
}

/// `delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// What, and which: pod NAME…, pod/NAME, configmap NAME, secret NAME.
    #[arg(value_name = "TYPE [NAME]")]
    pub what: Vec<String>,
    /// Files with the names.
    #[command(flatten)]
    pub files: FileArg,
    /// Every object of the type.
    #[arg(long)]
    pub all: bool,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Only objects with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Seconds that containers have to end by themselves [default: the pod's own].
    #[arg(long, value_name = "SECONDS", conflicts_with = "now")]
    pub grace_period: Option<i64>,
    /// One second.
    #[arg(long)]
    pub now: bool,
    /// At once; --grace-period=0 beside it says the same.
    #[arg(long, conflicts_with = "now")]
    pub force: bool,
    /// Return only when everything of it is gone.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub wait: bool,
    /// Give up waiting after this long.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// It is no error if it does not exist.
    #[arg(long)]
    pub ignore_not_found: bool,
    /// Print only names.
    #[arg(short = 'o', long, value_name = "FORMAT", value_parser = ["name"])]
    pub output: Option<String>,
}

/// `wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// What, and which: pod NAME…, pod/NAME.
    #[arg(value_name = "TYPE [NAME]")]
    pub what: Vec<String>,
    /// Files with the names.
    #[command(flatten)]
    pub files: FileArg,
    /// Until when: condition=Initialized, condition=Ready=false, delete, jsonpath={.status.phase}=Running.
    #[arg(long = "for", value_name = "WHAT")]
    pub until: String,
    /// Give up after this long; 0 = look once; negative = a week.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "30s",
        allow_hyphen_values = true
    )]
    pub timeout: String,
    /// Every object of the type.
    #[arg(long)]
    pub all: bool,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Only objects with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Print what was waited for so.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<Output>,
}

/// `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Only of this pod: NAME or pod/NAME.
    #[arg(long = "for", value_name = "POD")]
    pub of: Option<String>,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Only of these types.
    #[arg(long, value_name = "TYPE", value_delimiter = ',', value_parser = ["Normal", "Warning"])]
    pub types: Vec<String>,
    /// Go on with every new one.
    #[arg(short = 'w', long)]
    pub watch: bool,
    /// How to print.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<Output>,
    /// Leave the header out.
    #[arg(long)]
    pub no_headers: bool,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The manifest: a file, a folder, or - for standard input. Or pod/NAME: what comes next for a pod that exists.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The Kubernetes that the manifest was written for.
    #[command(flatten)]
    pub compat: CompatArg,
    /// How to print.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<DataOutput>,
    /// Plan although the manifest asks for things that this version does not honour.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// Memory of the node, for oom_score_adj [default: that of this machine].
    #[arg(long, value_name = "QUANTITY")]
    pub node_memory: Option<String>,
    /// Where the manifest names none.
    #[command(flatten)]
    pub namespace: NamespaceArg,
}

/// `image`.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Import an OCI layout (folder or tar) or a docker-archive.
    Import {
        /// A folder, a tar file, or - for standard input; :TAG picks one image of several.
        #[arg(value_name = "PATH[:TAG]")]
        path: String,
        /// The name to give it [default: the name in the archive].
        #[arg(long, value_name = "REF")]
        name: Option<String>,
        /// Print only the image's id.
        #[arg(short = 'q', long)]
        quiet: bool,
    },
    /// List images.
    #[command(visible_alias = "list")]
    Ls {
        /// How to print.
        #[arg(short = 'o', long, value_name = "FORMAT")]
        output: Option<DataOutput>,
        /// Print ids only.
        #[arg(short = 'q', long, conflicts_with = "output")]
        quiet: bool,
        /// Do not shorten ids.
        #[arg(long)]
        no_trunc: bool,
    },
    /// Remove images by name or id.
    Rm {
        /// Names or ids.
        #[arg(value_name = "IMAGE", required = true)]
        names: Vec<String>,
        /// Although a pod uses it.
        #[arg(long)]
        force: bool,
    },
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How to print.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<DataOutput>,
}

/// `version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// How to print.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<DataOutput>,
    /// Of this program only.
    #[arg(long)]
    pub client: bool,
}

/// `reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Do not ask.
    #[arg(short = 'y', long)]
    pub yes: bool,
}

/// `node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// Stay in the foreground, log to standard error, never end by itself. (This is what it does without --on-demand, too.)
    #[arg(long, conflicts_with = "on_demand")]
    pub foreground: bool,
    /// End when no pod is left unfinished and no client has come for a while; a byte on standard output says that it is ready.
    #[arg(long, hide = true)]
    pub on_demand: bool,
    /// How long that while is.
    #[arg(
        long,
        hide = true,
        env = "PODWRIGHT_IDLE",
        value_name = "DURATION",
        default_value = "60s"
    )]
    pub idle: String,
}
