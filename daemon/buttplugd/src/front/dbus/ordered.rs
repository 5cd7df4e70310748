//! Calls that begin in the order in which they came and end whenever they can.
//!
//! The library either runs every call in a task of its own, which loses the order, or awaits each before it looks at the
//! next, so that one slow device stalls every client. Here a call is run up to its first wait at once, and the rest of it in
//! a task: what a method does before it first waits (handing the request to its session) is done in order.

use std::{collections::HashMap, fmt::Write, future::poll_fn, sync::Arc, task::Poll};

use zbus::{
    BoxDBusError, Connection, ObjectServer, OwnedVariant, Variant, fdo,
    message::{Header, Message},
    names::{InterfaceName, MemberName},
    object_server::{DispatchResult, Interface, SignalEmitter},
};

/// An interface whose calls begin in order. Its methods must take `&self`.
pub(super) struct Ordered<T>(pub(super) Arc<T>);

#[async_trait::async_trait]
impl<T: Interface> Interface for Ordered<T> {
    fn name() -> InterfaceName<'static> {
        T::name()
    }

    fn spawn_tasks_for_methods(&self) -> bool {
        false
    }

    async fn get(
        &self,
        property_name: &str,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<Result<OwnedVariant, BoxDBusError>> {
        self.0.get(property_name, server, connection, header, emitter).await
    }

    async fn get_all(
        &self,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> fdo::Result<HashMap<String, OwnedVariant>> {
        self.0.get_all(server, connection, header, emitter).await
    }

    async fn set_mut(
        &mut self,
        property_name: &str,
        _value: &Variant<'_>,
        _server: &ObjectServer,
        _connection: &Connection,
        _header: Option<&Header<'_>>,
        _emitter: &SignalEmitter<'_>,
    ) -> Option<Result<(), BoxDBusError>> {
        // No property of ours can be written.
        let text = format!("property `{property_name}` cannot be set");
        Some(Err(fdo::Error::PropertyReadOnly(text).into()))
    }

    fn call<'call>(
        &'call self,
        _server: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        name: MemberName<'call>,
    ) -> DispatchResult<'call> {
        let call = run(Arc::clone(&self.0), connection.clone(), message.clone(), name.into_owned());
        DispatchResult::Async(Box::pin(async move {
            let mut call = Box::pin(call);
            let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
            match first {
                Poll::Ready(done) => done,
                Poll::Pending => {
                    let message = message.clone();
                    let connection = connection.clone();
                    tokio::spawn(async move {
                        if let Err(error) = call.await {
                            let replied = connection.reply_dbus_error(&message.header(), error).await;
                            if let Err(error) = replied {
                                tracing::debug!(%error, "cannot answer a call");
                            }
                        }
                    });
                    Ok(())
                }
            }
        }))
    }

    fn call_mut<'call>(
        &'call mut self,
        _server: &'call ObjectServer,
        _connection: &'call Connection,
        _message: &'call Message,
        _name: MemberName<'call>,
    ) -> DispatchResult<'call> {
        DispatchResult::NotFound
    }

    fn introspect_to_writer(&self, writer: &mut dyn Write, level: usize) {
        self.0.introspect_to_writer(writer, level);
    }
}

/// One call from its beginning to its reply.
async fn run<T: Interface>(
    interface: Arc<T>,
    connection: Connection,
    message: Message,
    name: MemberName<'static>,
) -> Result<(), BoxDBusError> {
    match interface.call(connection.object_server(), &connection, &message, name.as_ref()) {
        DispatchResult::Async(call) => call.await,
        DispatchResult::NotFound | DispatchResult::RequiresMut => {
            Err(fdo::Error::UnknownMethod(format!("no method `{name}`")).into())
        }
    }
}
