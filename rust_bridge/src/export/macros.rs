// SPDX-License-Identifier: MIT OR Apache-2.0
//! The macro `export!`.

/// Makes functions for C of async functions, and structs for C.
///
/// An exported function begins an operation: C calls it with the bridge, the arguments and an operation,
/// and awaits that. Arguments are copied before the call returns, so C may free them then. The function
/// that is written remains what it is, and Rust code can call it. It is an item of a module, not of a
/// function.
///
/// ```
/// use std::time::Duration;
/// use nart_tokio::{Bridge, Failure};
///
/// nart_tokio::export! {
///     /// What is known of a name.
///     pub struct NameInfo {
///         /// Bytes of the name.
///         pub length: u64,
///         /// Its first bytes.
///         pub begin: [u8; 4],
///     }
///
///     /// Looks at a name, for some time.
///     pub async fn name_info(bridge: &Bridge, name: &str, ms: u64) -> Result<NameInfo, Failure> {
///         tokio::time::sleep(Duration::from_millis(ms)).await;
///         let mut begin = [0; 4];
///         let n = name.len().min(4);
///         begin[..n].copy_from_slice(&name.as_bytes()[..n]);
///         if n == 0 {
///             return Err(Failure::new(-22, "a name has at least one byte"));
///         }
///         Ok(NameInfo { length: name.len() as u64, begin })
///     }
/// }
/// # fn main() {}
/// ```
///
/// In C, with the header that CMake's `nart_add_umbrella(... HEADER name)` writes:
///
/// ```c
/// r = name_info(tokio, "nart", 10, &f->op);
/// if (r == 0)
///     NART_AWAIT(r, nart_tokio_op_await(cx, &f->op, NULL));
/// if (r == 0)
///     r = name_info_read(&f->op, &info);
/// nart_tokio_op_close(&f->op);
/// ```
///
/// # Arguments
///
/// The first one is a `&Bridge`: that of the call, for [`spawn`](crate::Bridge::spawn) and
/// [`get_or_init`](crate::Bridge::get_or_init). It does not keep the bridge open. The others are:
///
/// | Rust | C | |
/// |---|---|---|
/// | `&str` | `const char *` | UTF-8, or the call returns `-EILSEQ` |
/// | `Option<&str>` | `const char *` | NULL is `None` |
/// | `&CStr` | `const char *` | import `std::ffi::CStr` |
/// | `&[u8]` | `const uint8_t *`, `size_t` | NULL if the length is 0 |
/// | numbers, `bool` | the same | `usize` is `size_t` |
/// | a struct of `export!` | the same | |
///
/// Each is a plain name and a type that is written as in the table: no pattern, no `mut`, no path. If the compiler
/// says "no rules expected", or expects another type than `&Bridge`, look here first.
///
/// An exported function is a symbol of the whole program: begin its name as no other library does, as in
/// `kv_get`. Names of structs are one space for all modules of an umbrella. Arguments and fields whose name is a keyword in C or C++, or `rt` or `op`, end with an underscore
/// in C: `default` is `default_`. Only doc comments may be above a function, a struct and a field.
///
/// A call returns 0; `-EINVAL` a string or another pointer is NULL; `-EILSEQ`; the errors of
/// [`Bridge::spawn`](crate::Bridge::spawn).
///
/// # Answers
///
/// See [`Answer`](crate::Answer). A panic, a cancellation and a shutdown end the operation as they do for
/// [`Bridge::spawn`](crate::Bridge::spawn).
///
/// A struct is `Clone`, `Copy` and `Debug`. Its name in C is in lower case: `NameInfo` is `name_info`, and several
/// capitals in a row are one word. Its fields are numbers, `bool`, arrays of these that are not empty, and such
/// structs. For a function that answers one, the header also has a
/// function that reads it.
#[macro_export]
macro_rules! export {
    () => {};
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $($(#[doc = $field_doc:literal])* $field_vis:vis $field:ident: $type:ty),+ $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[doc = $doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        $vis struct $name {
            $($(#[doc = $field_doc])* $field_vis $field: $type,)+
        }

        const _: () = {
            use $crate::__export::{depth, line, line_len, struct_outcome, Answer, Field, Piece, Value};

            impl Field for $name {
                const C: (&'static [Piece], &'static [Piece]) = (
                    &[Piece::Text("struct "), Piece::Snake(stringify!($name))],
                    &[],
                );
                const DEPTH: usize = depth(&[$(<$type as Field>::DEPTH),+]);

                fn write(&self, to: &mut [u8]) {
                    $(
                        let begin = ::core::mem::offset_of!($name, $field);
                        let size = ::core::mem::size_of::<$type>();
                        Field::write(&self.$field, &mut to[begin..begin + size]);
                    )+
                }
            }

            impl Value for $name {}

            impl ::core::convert::From<$name> for $crate::Outcome {
                fn from(value: $name) -> $crate::Outcome {
                    struct_outcome(&value)
                }
            }

            impl Answer for $name {
                const ABOUT: &'static str = "";
                const STRUCT: &'static [Piece] = <$name as Field>::C.0;
            }

            const PIECES: &[Piece] = &[
                Piece::Text("0 "),
                Piece::Number(<$name as Field>::DEPTH, 3),
                Piece::Text(::core::file!()),
                Piece::Number(::core::line!() as usize, 6),
                Piece::Number(::core::column!() as usize, 3),
                Piece::Text(concat!(" ", stringify!($name), "!")),
                Piece::Comment("", &[$($doc),*], ""),
                Piece::Text("struct "),
                Piece::Snake(stringify!($name)),
                Piece::Text(" {\n"),
                $(
                    Piece::Comment("    ", &[$($field_doc),*], ""),
                    Piece::Text("    "),
                    Piece::Pieces(<$type as Field>::C.0),
                    Piece::Text(" "),
                    Piece::Name(stringify!($field), ""),
                    Piece::Pieces(<$type as Field>::C.1),
                    Piece::Text(";\n"),
                )+
                Piece::Text("};\n"),
            ];
            #[used]
            static LINE: [u8; line_len(PIECES)] = line(PIECES);
        };

        $crate::export! { $($rest)* }
    };
    (
        $(#[doc = $doc:literal])*
        $vis:vis async fn $name:ident($bridge:ident: $bridge_type:ty $(, $($args:tt)*)?) $body:block
        $($rest:tt)*
    ) => {
        $crate::export! {
            $(#[doc = $doc])*
            $vis async fn $name($bridge: $bridge_type $(, $($args)*)?) -> () $body
            $($rest)*
        }
    };
    (
        $(#[doc = $doc:literal])*
        $vis:vis async fn $name:ident($bridge:ident: $bridge_type:ty $(, $($args:tt)*)?) -> $answer:ty $body:block
        $($rest:tt)*
    ) => {
        $(#[doc = $doc])*
        $vis async fn $name($bridge: $bridge_type $(, $($args)*)?) -> $answer $body

        const _: () = {
            $crate::__export_fn! { [$name ($answer) ($($doc)*)] [] [] [] [] $($($args)*)? }
        };

        $crate::export! { $($rest)* }
    };
}

/// The function for C of an exported function: takes one argument after the other, and collects its
/// parameters, what loads them, what they are in the call, and what they are in the header.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_fn {
    ($of:tt [$($c:tt)*] [$($load:tt)*] [$($pass:tt)*] [$($text:tt)*] $arg:ident: &str $(, $($rest:tt)*)?) => {
        $crate::__export_fn! {
            $of
            [$($c)* $arg: *const ::core::ffi::c_char,]
            [$($load)* let $arg = $crate::__export::string($arg)?;]
            [$($pass)* &$arg,]
            [$($text)* Piece::Text(", const char *"), Piece::Name(stringify!($arg), ""),]
            $($($rest)*)?
        }
    };
    ($of:tt [$($c:tt)*] [$($load:tt)*] [$($pass:tt)*] [$($text:tt)*] $arg:ident: Option<&str> $(, $($rest:tt)*)?) => {
        $crate::__export_fn! {
            $of
            [$($c)* $arg: *const ::core::ffi::c_char,]
            [$($load)* let $arg = $crate::__export::optional_string($arg)?;]
            [$($pass)* $arg.as_deref(),]
            [$($text)* Piece::Text(", const char *"), Piece::Name(stringify!($arg), ""),]
            $($($rest)*)?
        }
    };
    ($of:tt [$($c:tt)*] [$($load:tt)*] [$($pass:tt)*] [$($text:tt)*] $arg:ident: &CStr $(, $($rest:tt)*)?) => {
        $crate::__export_fn! {
            $of
            [$($c)* $arg: *const ::core::ffi::c_char,]
            [$($load)* let $arg = $crate::__export::c_string($arg)?;]
            [$($pass)* &$arg,]
            [$($text)* Piece::Text(", const char *"), Piece::Name(stringify!($arg), ""),]
            $($($rest)*)?
        }
    };
    ($of:tt [$($c:tt)*] [$($load:tt)*] [$($pass:tt)*] [$($text:tt)*] $arg:ident: &[u8] $(, $($rest:tt)*)?) => {
        $crate::__export_fn! {
            $of
            [$($c)* $arg: *const u8, len: usize,]
            [$($load)* let $arg = $crate::__export::byte_string($arg, len)?;]
            [$($pass)* &$arg,]
            [
                $($text)*
                Piece::Text(", const uint8_t *"),
                Piece::Name(stringify!($arg), ""),
                Piece::Text(", size_t "),
                Piece::Name(stringify!($arg), "_len"),
            ]
            $($($rest)*)?
        }
    };
    ($of:tt [$($c:tt)*] [$($load:tt)*] [$($pass:tt)*] [$($text:tt)*] $arg:ident: $type:ty $(, $($rest:tt)*)?) => {
        $crate::__export_fn! {
            $of
            [$($c)* $arg: $type,]
            [$($load)*]
            [$($pass)* $arg,]
            [
                $($text)*
                Piece::Text(", "),
                Piece::Pieces($crate::__export::c_type::<$type>()),
                Piece::Text(" "),
                Piece::Name(stringify!($arg), ""),
            ]
            $($($rest)*)?
        }
    };
    ([$name:ident ($answer:ty) ($($doc:literal)*)] [$($c:tt)*] [$($load:tt)*] [$($pass:tt)*] [$($text:tt)*]) => {
        /// # Safety
        /// C passes a live bridge, an operation that is not open, and arguments as the header declares
        /// them.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            rt: *const $crate::NartTokio,
            $($c)*
            op: *mut $crate::NartTokioOp,
        ) -> $crate::Res {
            // SAFETY: the caller's promises.
            unsafe {
                $crate::__export::start(rt, op, |bridge| {
                    $($load)*
                    Ok(async move { self::$name(&bridge, $($pass)*).await })
                })
            }
        }

        use $crate::__export::{is_word, line, line_len, Answer, Piece};

        const NAME: &str = stringify!($name);
        const _: () = assert!(!is_word(NAME), "this function has a name that is none in C or C++");

        const READ: &[Piece] = &[
            Piece::Text("/** Reads the answer of "),
            Piece::Name(NAME, ""),
            Piece::Text("(), as nart_tokio_op_read(). */\nstatic inline NART_MUST_USE nart_res "),
            Piece::Name(NAME, ""),
            Piece::Text("_read(const nart_tokio_op *op, "),
            Piece::Pieces(<$answer as Answer>::STRUCT),
            Piece::Text(" *answer)\n{\n    return nart_tokio_op_read(op, answer, sizeof *answer);\n}\n"),
        ];
        const PIECES: &[Piece] = &[
            Piece::Text("1 "),
            Piece::Text(::core::file!()),
            Piece::Number(::core::line!() as usize, 6),
            Piece::Number(::core::column!() as usize, 3),
            Piece::Text(concat!(" ", stringify!($name), "!")),
            Piece::Comment("", &[$($doc),*], <$answer as Answer>::ABOUT),
            Piece::Text("NART_MUST_USE nart_res "),
            Piece::Name(NAME, ""),
            Piece::Text("(nart_tokio *rt"),
            $($text)*
            Piece::Text(", nart_tokio_op *op);\n"),
            Piece::Pieces(if <$answer as Answer>::STRUCT.is_empty() { &[] } else { READ }),
        ];
        #[used]
        static LINE: [u8; line_len(PIECES)] = line(PIECES);
    };
}
