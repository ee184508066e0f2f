//! The order in which the go command asks for files, and the order in which `goferry download` does.
//!
//! `go mod download` without arguments (`cmd/go/internal/modcmd/download.go`, Go 1.17 to 1.27):
//! 1. a toolchain, if another one is needed (`toolchain/select.go`); the chosen one starts over with new connections;
//! 2. the `.mod` files of the graph, in a queue of GOMAXPROCS (`modload/buildlist.go`, `readModGraph`);
//! 3. one `.info` after another (`modload/list.go`, `listModules`);
//! 4. the zips, GOMAXPROCS at a time; each is hashed and unpacked before its place is free again.

use std::time::Duration;

use crate::price::engine::{Engine, Step, Task, ns};
use crate::price::inputs::{Congestion, PriceInputs, Protocol};
use crate::price::pool::{Policy, Pool};
use crate::price::{Connections, Phases, Prediction};

/// First Go version that asks twice after a 4xx over https (`web/http.go`, GOAUTH).
const DOUBLED_4XX: u32 = 24;
/// What refused streams cost a cold start: before SETTINGS arrive Go assumes that 100 streams are allowed, and the surplus waits
/// (`internal/http2/transport.go`: 0, 0, 1, 2 … s). About a second in all, measured with servers of several makes.
const REFUSED_START: Duration = Duration::from_secs(1);
/// Typical answer of the checksum database to a lookup, and the tiles that it takes to prove it, in bytes.
const LOOKUP_BYTES: u64 = 1_000;
const TILE_BYTES: u64 = 12_000;
/// Requests that `goferry download` keeps open at once on a connection, whatever the server allows.
const MAX_ASKED: u32 = 250;
/// Connections that `goferry download` opens where one is not enough, and the requests on each of them.
const FLOWS: usize = 16;
const ASKED_PER_FLOW: u32 = 8;

/// Simulates the go command. The inputs must be bounded.
pub(crate) fn go(inputs: &PriceInputs) -> Prediction {
    let mut total = Prediction::default();
    total.phases.start = inputs.costs.process_start;
    if let Some(bytes) = inputs.project.toolchain_bytes {
        let mut engine = Engine::new(inputs, Pool::new(inputs, Policy::Go), bytes as f64);
        let steps = vec![
            Step::Fetch(LOOKUP_BYTES),
            Step::Fetch(LOOKUP_BYTES),
            Step::Fetch(TILE_BYTES),
            Step::Fetch(bytes),
            Step::Delay(ns(inputs.costs.toolchain_unpack)),
        ];
        engine.run(vec![Task::new(steps)], 1, 1);
        total.phases.toolchain = Duration::from_nanos(engine.now) + inputs.costs.process_start;
        total.count(&engine);
    }
    let width = inputs.client.gomaxprocs as usize;
    let zips = &inputs.project.zips;
    let mut engine = Engine::new(inputs, Pool::new(inputs, Policy::Go), project_bytes(inputs));
    let (mods, roots) = mod_tasks(inputs, width);
    engine.run(mods, roots, width);
    let graph = engine.now;
    let infos: Vec<Task> = (0..inputs.project.infos).map(|_| info_task(inputs)).collect();
    let known = infos.len();
    engine.run(infos, known, if inputs.project.parallel_info { width } else { 1 });
    let info = engine.now;
    engine.run(zips.iter().map(|z| zip_task(inputs, *z, 1.0)).collect(), zips.len(), width);
    total.phases.graph = Duration::from_nanos(graph);
    let at_once = inputs.client.gomaxprocs.min(inputs.project.graph_roots).min(inputs.project.graph_mod_files);
    let refused = inputs.path.protocol == Protocol::Http2 && inputs.path.max_concurrent_streams < at_once.min(100);
    let expected = if refused { REFUSED_START } else { Duration::ZERO };
    total.phases.graph += expected.max(inputs.path.refused_backoff);
    total.phases.info = Duration::from_nanos(info - graph);
    total.phases.zip = Duration::from_nanos(engine.now - info);
    total.count(&engine);
    if inputs.path.broken_streams > 0.0 && !zips.is_empty() {
        let failed = ((inputs.path.broken_streams * zips.len() as f64).ceil() as usize).min(zips.len());
        let again: Vec<u64> = (0..failed).map(|i| zips[i * zips.len() / failed]).collect();
        let mut engine = Engine::new(inputs, Pool::new(inputs, Policy::Go), again.iter().sum::<u64>() as f64);
        engine.run(again.iter().map(|z| zip_task(inputs, *z, 1.0)).collect(), failed, width);
        total.phases.again = Duration::from_nanos(engine.now) + inputs.costs.process_start;
        total.count(&engine);
    }
    total.sum()
}

/// Simulates one warm set of connections over which everything known is asked for at once. The inputs must be bounded.
pub(crate) fn multiplexed(inputs: &PriceInputs) -> Prediction {
    let mut total = Prediction::default();
    total.phases.start = inputs.costs.process_start;
    let loss_limits = inputs.path.loss > 0.0 && inputs.path.congestion != Congestion::Bbr;
    let flows = match inputs.path.protocol {
        Protocol::Http2 if loss_limits => FLOWS,
        Protocol::Http2 => 1,
        _ => FLOWS,
    };
    let asked = if flows > 1 { ASKED_PER_FLOW } else { MAX_ASKED }.min(inputs.path.max_concurrent_streams);
    let policy = Policy::Fixed { flows, streams: asked };
    let mut engine = Engine::new(inputs, Pool::new(inputs, policy), project_bytes(inputs));
    let asked = asked as usize * flows;
    // go.sum names every `.mod` of the graph; without it the graph must be followed.
    let (mut tasks, mut roots) = mod_tasks(inputs, asked);
    if inputs.project.sumdb_lookups == 0 {
        for task in &mut tasks {
            task.children = 0..0;
        }
        roots = tasks.len();
    }
    let later: Vec<usize> = (roots..tasks.len()).collect();
    // Tasks that are known at the start come first.
    let rest = tasks.split_off(roots);
    tasks.extend((0..inputs.project.infos).map(|_| info_task(inputs)));
    tasks.extend(inputs.project.zips.iter().map(|z| zip_task(inputs, *z, 0.5)));
    let known = tasks.len();
    let shift = known - roots;
    tasks.extend(rest);
    for task in &mut tasks {
        if !later.is_empty() && !task.children.is_empty() {
            task.children = task.children.start + shift..task.children.end + shift;
        }
    }
    engine.run(tasks, known, asked.max(1));
    total.phases.zip = Duration::from_nanos(engine.now);
    total.count(&engine);
    total.sum()
}

fn project_bytes(inputs: &PriceInputs) -> f64 {
    let p = &inputs.project;
    let small = u64::from(p.graph_mod_files) * p.mod_bytes + u64::from(p.infos) * p.info_bytes;
    (p.zips.iter().sum::<u64>() + small) as f64
}

/// The `.mod` tasks layer by layer, and how many are known at the start.
fn mod_tasks(inputs: &PriceInputs, width: usize) -> (Vec<Task>, usize) {
    let p = &inputs.project;
    let count = p.graph_mod_files as usize;
    let deeper = count - (p.graph_roots as usize).min(count);
    let layers = if deeper == 0 { 0 } else { (p.graph_depth as usize).saturating_sub(1).clamp(1, deeper) };
    let roots = count - deeper;
    let mut tasks: Vec<Task> = (0..count).map(|i| mod_task(inputs, i, width)).collect();
    let mut parents = 0..roots;
    for layer in 0..layers {
        let size = deeper * (layer + 1) / layers - deeper * layer / layers;
        let start = parents.end;
        for (i, parent) in parents.clone().enumerate() {
            let share = |i: usize| start + i * size / parents.len();
            tasks[parent].children = share(i)..share(i + 1);
        }
        parents = start..start + size;
    }
    (tasks, roots)
}

fn mod_task(inputs: &PriceInputs, index: usize, width: usize) -> Task {
    let mut steps = Vec::with_capacity(6);
    fetch(inputs, inputs.project.mod_bytes, &mut steps);
    if index < inputs.project.sumdb_lookups as usize {
        if index == 0 {
            steps.push(Step::Fetch(1)); // /sumdb/<name>/supported
        } else if index < width {
            steps.push(Step::Delay(ns(inputs.path.rtt + inputs.path.server_think)));
        }
        steps.push(Step::Fetch(LOOKUP_BYTES));
        steps.push(Step::Fetch(TILE_BYTES));
    }
    steps.push(Step::Cpu(ns(inputs.costs.small_file)));
    Task::new(steps)
}

fn info_task(inputs: &PriceInputs) -> Task {
    let mut steps = Vec::with_capacity(3);
    fetch(inputs, inputs.project.info_bytes, &mut steps);
    steps.push(Step::Cpu(ns(inputs.costs.small_file)));
    Task::new(steps)
}

fn zip_task(inputs: &PriceInputs, bytes: u64, work: f64) -> Task {
    let mut steps = Vec::with_capacity(3);
    fetch(inputs, bytes, &mut steps);
    let each = inputs.costs.zip_byte_ns * bytes as f64 * work;
    steps.push(Step::Cpu(ns(inputs.costs.zip) + each as u64));
    Task::new(steps)
}

/// A file: every entry of GOPROXY before the right one is asked first, twice over https from Go 1.24 on.
fn fetch(inputs: &PriceInputs, bytes: u64, steps: &mut Vec<Step>) {
    let path = &inputs.path;
    if path.fallback_entries > 0 {
        let plain = matches!(path.protocol, Protocol::PlainHttp1 { .. });
        let times = if inputs.client.go_minor >= DOUBLED_4XX && !plain { 2 } else { 1 };
        steps.push(Step::Delay(ns(path.fallback_answer) * u64::from(path.fallback_entries) * times));
    }
    steps.push(Step::Fetch(bytes));
}

impl Prediction {
    fn count(&mut self, engine: &Engine<'_>) {
        self.requests += engine.requests;
        self.connections.dialled += engine.pool.dialled;
        self.connections.used += engine.pool.used();
    }

    fn sum(mut self) -> Prediction {
        let Phases { start, toolchain, graph, info, zip, again } = self.phases;
        self.total = start + toolchain + graph + info + zip + again;
        self
    }
}

impl Connections {
    /// Handshakes whose connection was never used.
    #[must_use]
    pub fn wasted(&self) -> u32 {
        self.dialled.saturating_sub(self.used)
    }
}
