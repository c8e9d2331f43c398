//! Ends: of the server, step by step, and of what calls belong to.

use inorder::CancellationToken;

/// How far a server has come to its end.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// No more calls are taken.
    pub stopping: CancellationToken,
    /// Calls end, and are still answered.
    pub ending: CancellationToken,
    /// Nobody will hear of progress any more.
    pub over: CancellationToken,
}

/// What a call ends with besides its request, and what the SDK would tell it too late. Carried by the request.
#[derive(Clone)]
pub struct Ends(pub CancellationToken);
