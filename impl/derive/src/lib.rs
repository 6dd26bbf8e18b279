//! `#[derive(Payload)]` of ringproof: makes a struct a payload, described by its fields' names, offsets
//! and types. `#[derive(Shape)]` describes it only. Use them as `ringproof::Payload` and
//! `ringproof::Shape`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Fields, Meta, Token, parse_macro_input};
use syn::{punctuated::Punctuated, spanned::Spanned};

/// Makes a struct whose layout its source fixes a payload: `#[repr(C)]`, `#[repr(C, packed)]` or
/// `#[repr(transparent)]`. Every field's type must be a payload, too, and the struct `Copy`. Padding
/// does not compile.
///
/// It implements `Shape`, and of bytemuck `Pod` and `Zeroable`.
#[proc_macro_derive(Payload)]
pub fn derive_payload(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    payload(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Describes a struct whose layout its source fixes: `#[repr(C)]`, `#[repr(C, packed)]` or
/// `#[repr(transparent)]`. Every field's type must be `Shape`, too. Padding does not compile.
#[proc_macro_derive(Shape)]
pub fn derive_shape(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    shape(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

const REMEDY: &str =
    "it would carry bytes of this program to another one; give them a name, as a field";

fn payload(input: &DeriveInput) -> syn::Result<TokenStream> {
    let shape = shape(input)?;
    let name = &input.ident;
    let Data::Struct(data) = &input.data else {
        return Ok(shape);
    };
    let fields = data.fields.iter().map(|field| {
        let ty = &field.ty;
        quote_spanned! {ty.span()=> ::ringproof::payload::is_payload::<#ty>();}
    });
    Ok(quote! {
        #shape
        const _: () = {
            #(#fields)*
        };
        // SAFETY: each field, as was checked above, is a payload, of which any bytes are a value and none
        // is padding, a pointer or to be written through a shared reference; and they fill the struct, as
        // the checks of its shape say. It has no parameters, so that it is 'static; and that it is `Copy`
        // the trait demands.
        #[automatically_derived]
        unsafe impl ::ringproof::bytemuck::Zeroable for #name {}
        // SAFETY: as above.
        #[automatically_derived]
        unsafe impl ::ringproof::bytemuck::Pod for #name {}
    })
}

fn shape(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(
            input.ident.span(),
            "only a struct has a shape: an enum's bytes are not all values of it, and a union's \
             do not say which field they are",
        ));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new(
            input.generics.span(),
            "a generic struct has more than one shape: write a struct of concrete types",
        ));
    }
    if !has_fixed_layout(input)? {
        return Err(Error::new(
            input.ident.span(),
            "without #[repr(C)] or #[repr(transparent)] the compiler may put the fields anywhere, \
             and elsewhere in every program",
        ));
    }
    if matches!(data.fields, Fields::Unit) || data.fields.is_empty() {
        return Err(Error::new(
            input.ident.span(),
            "a struct without fields carries nothing",
        ));
    }
    let name = &input.ident;
    let mut visits = Vec::new();
    let mut checks = Vec::new();
    // Where the fields before end.
    let mut end = quote!(0);
    let mut last = String::new();
    for (member, field) in data.fields.members().zip(&data.fields) {
        let (text, span) = match &member {
            syn::Member::Named(ident) => (ident.unraw().to_string(), ident.span()),
            syn::Member::Unnamed(index) => (format!("_{}", index.index), Span::call_site()),
        };
        if !text.is_ascii() {
            return Err(Error::new(
                span,
                "a field's name must be ASCII: other languages have to read it",
            ));
        }
        let ty = &field.ty;
        visits.push(quote! {
            fields.field::<#ty>(#text, ::core::mem::offset_of!(Self, #member));
        });
        let problem = format!("there is padding before the field `{text}` of `{name}`: {REMEDY}");
        checks.push(quote_spanned! {field.span()=>
            const _: () = assert!(::core::mem::offset_of!(#name, #member) == #end, #problem);
        });
        end = quote!(::core::mem::offset_of!(#name, #member) + ::core::mem::size_of::<#ty>());
        last = text;
    }
    let problem = format!("there is padding after the last field of `{name}`, `{last}`: {REMEDY}");
    checks.push(quote_spanned! {name.span()=>
        const _: () = assert!(::core::mem::size_of::<#name>() == #end, #problem);
    });
    Ok(quote! {
        #(#checks)*
        #[automatically_derived]
        impl ::ringproof::Shape for #name {
            type Size = ::ringproof::shape::Bytes<
                { ::core::mem::size_of::<#name>() },
                { ::core::mem::size_of::<#name>() % 8 },
            >;

            fn visit(fields: &mut ::ringproof::shape::Fields) {
                #(#visits)*
            }
        }
    })
}

fn has_fixed_layout(input: &DeriveInput) -> syn::Result<bool> {
    for attribute in &input.attrs {
        if !attribute.path().is_ident("repr") {
            continue;
        }
        let list = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
        let fixes = |meta: &Meta| meta.path().is_ident("C") || meta.path().is_ident("transparent");
        if list.iter().any(fixes) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(source: &str) -> String {
        let input = syn::parse_str(source).expect("an item");
        let refused = shape(&input).expect_err(source).to_string();
        assert_eq!(payload(&input).expect_err(source).to_string(), refused);
        refused
    }

    #[test]
    fn what_has_no_fixed_layout_is_refused_with_the_reason() {
        for (source, reason) in [
            ("#[repr(u8)] enum E { A }", "only a struct"),
            ("#[repr(C)] union U { a: u8, b: i8 }", "only a struct"),
            ("struct S { a: u8 }", "without #[repr(C)]"),
            ("#[repr(packed)] struct S { a: u8 }", "without #[repr(C)]"),
            (
                "#[repr(align(8))] struct S { a: u64 }",
                "without #[repr(C)]",
            ),
            ("#[repr(C)] struct S<T> { a: T }", "generic"),
            (
                "#[repr(C)] struct S<const N: usize> { a: [u8; N] }",
                "generic",
            ),
            ("#[repr(C)] struct S;", "without fields"),
            ("#[repr(C)] struct S {}", "without fields"),
            ("#[repr(C)] struct S { größe: u8 }", "ASCII"),
        ] {
            let said = refusal(source);
            assert!(said.contains(reason), "{source}: {said}");
        }
    }

    /// That the compiler evaluates them, the tests of ringproof show.
    #[test]
    fn padding_is_looked_for_before_each_field_and_after_the_last() {
        let source = "#[repr(C)] struct S { a: u8, b: u64, r#type: u8 }";
        let code = shape(&syn::parse_str(source).expect("an item"));
        let code = code.expect(source).to_string();
        for (place, count) in [
            ("before the field `a` of `S`", 1),
            ("before the field `b` of `S`", 1),
            ("before the field `type` of `S`", 1),
            ("after the last field of `S`, `type`", 1),
            ("const _", 4),
        ] {
            assert_eq!(code.matches(place).count(), count, "{place}: {code}");
        }
    }

    #[test]
    fn what_has_one_is_described_field_by_field() {
        for (source, names) in [
            (
                "#[repr(C)] struct S { a: u8, r#type: u8 }",
                ["\"a\"", "\"type\""],
            ),
            (
                "#[repr(C, packed)] struct S(u8, u64);",
                ["\"_0\"", "\"_1\""],
            ),
            (
                "#[repr(C, align(16))] struct S { b: u64, c: u64 }",
                ["\"b\"", "\"c\""],
            ),
            (
                "#[repr(align(8))] #[repr(C)] struct S { b: u64, c: u64 }",
                ["\"b\"", "\"c\""],
            ),
            (
                "#[repr(transparent)] struct S(u64);",
                ["\"_0\"", "offset_of"],
            ),
        ] {
            let input = syn::parse_str(source).expect("an item");
            let code = shape(&input).expect(source).to_string();
            for name in names {
                assert!(code.contains(name), "{source}: {code}");
            }
        }
    }
}
