//! Header fields that a guest hands over in a list: taken one by one, and no more of them than a set of headers may have.
//!
//! wasmtime would make all of a list in one go before anybody could look at it: 83,000 names and values of one byte, two
//! allocations each, are no more to copy than one host call may (`limits.copies`), and take 29 ms on a slow machine.

use wasmtime::component::{Lift, Linker, Resource, WasmList, WasmStr};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::p2::HeaderResult;
use wasmtime_wasi_http::p2::bindings::http::types::{self, Host as _, HostFields as _};
use wasmtime_wasi_http::{FieldMap, WasiHttpCtxView};

use super::call::{MOST_HEADERS, TYPES};

type Entry = (WasmStr, WasmList<u8>);
type Told<T> = Result<T, types::HeaderError>;

/// Takes the place of what `wasi:http/types` has.
pub(super) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    host: fn(&mut T) -> WasiHttpCtxView<'_>,
) -> Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[static]fields.from-list",
        move |mut store: StoreContextMut<'_, T>, (entries,): (WasmList<Entry>,)| {
            let entries = some_of(&mut store, &entries, |store, (name, value)| {
                let name = name.to_str(store)?.into_owned();
                let value = value.as_le_slice(store).to_vec();
                Ok((name.len() + value.len(), (name, value)))
            })?;
            let mut view = host(store.data_mut());
            let made = view.from_list(entries);
            told(&mut view, made)
        },
    )?;
    types.func_wrap(
        "[method]fields.set",
        move |mut store: StoreContextMut<'_, T>,
              (fields, name, values): (Resource<FieldMap>, String, WasmList<WasmList<u8>>)| {
            let values = some_of(&mut store, &values, |store, value| {
                let value = value.as_le_slice(store).to_vec();
                Ok((value.len(), value))
            })?;
            let mut view = host(store.data_mut());
            let set = view.set(fields, name, values);
            told(&mut view, set)
        },
    )
}

/// What `one` makes of each item, and how many bytes that is; up to the first one with which they are more than a set may
/// have, for which the set is refused.
fn some_of<T: 'static, I: Lift + 'static, O>(
    store: &mut StoreContextMut<'_, T>,
    items: &WasmList<I>,
    one: impl Fn(&StoreContextMut<'_, T>, I) -> Result<(usize, O)>,
) -> Result<Vec<O>> {
    // Less than a value takes beside its bytes.
    const EACH: usize = 32;
    let (mut all, mut size) = (Vec::new(), 0);
    while let Some(item) = items.get(&mut *store, all.len())
        && size <= MOST_HEADERS
    {
        let (bytes, item) = one(store, item?)?;
        size += bytes + EACH;
        all.push(item);
    }
    Ok(all)
}

fn told<T>(view: &mut WasiHttpCtxView<'_>, made: HeaderResult<T>) -> Result<(Told<T>,)> {
    Ok((match made {
        Ok(made) => Ok(made),
        Err(error) => Err(view.convert_header_error(error)?),
    },))
}
