//! What libcontainer does last in the container's init, in our way: the program is looked for before the start barrier, with the
//! container's own rights and mounts, and run after it with clean signals.

use crate::cause::Report;
use crate::program::Program;
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use std::collections::HashMap;

/// The executor of every container.
#[derive(Clone)]
pub(crate) struct StartExecutor {
    /// Where a missing program is told.
    pub(crate) report: Report,
}

impl Executor for StartExecutor {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let process = spec.process().as_ref().ok_or(ExecutorError::InvalidArg)?;
        // libcontainer resets neither: Rust ignores SIGPIPE, and the supervisor's mask may have come along.
        pod_sys::child::reset_signals().map_err(|e| ExecutorError::Other(e.to_string()))?;
        pod_sys::child::close_on_exec_from(3).map_err(|e| ExecutorError::Other(e.to_string()))?;
        let error = Program::of(process).run();
        // Nobody waits for an answer any more: the container's own log is where a user looks.
        eprintln!("{error}");
        std::process::exit(error.code())
    }

    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let Some(process) = spec.process() else {
            return Err(ExecutorValidationError::ArgValidationError(
                "no process".to_owned(),
            ));
        };
        match Program::of(process).find() {
            Ok(_) => Ok(()),
            Err(error) => {
                self.report.program(&error.to_string());
                Err(ExecutorValidationError::ArgValidationError(
                    error.to_string(),
                ))
            }
        }
    }

    /// Nothing: the program gets its environment with execve, so that this process's own never changes.
    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }
}
